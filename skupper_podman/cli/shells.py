"""The completion scripts. Each asks ``skupper __complete WORDS... CURRENT`` and shows what it prints.

What always holds: a script holds no command or flag of its own, so it never goes out of date. A line ``:files`` in the
answer asks the shell for file names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FILES: Final = ":files"

_BASH: Final = r"""# bash completion for skupper; to load it: source <(skupper completion bash)
_skupper_complete() {
    local line current="${COMP_WORDS[COMP_CWORD]}"
    COMPREPLY=()
    if [[ $current == "=" ]]; then
        current=""
    fi
    while IFS= read -r line; do
        if [[ $line == ":files" ]]; then
            compopt -o filenames 2>/dev/null
            while IFS= read -r line; do
                COMPREPLY+=("$line")
            done < <(compgen -f -- "$current")
        else
            COMPREPLY+=("${line%%$'\t'*}")
        fi
    done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == --*= ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _skupper_complete skupper
"""

_ZSH: Final = r"""#compdef skupper
# zsh completion for skupper; to load it: source <(skupper completion zsh)
_skupper() {
    local line files=0
    local -a found
    while IFS= read -r line; do
        if [[ $line == ":files" ]]; then
            files=1
        elif [[ $line == *$'\t'* ]]; then
            found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        elif [[ -n $line ]]; then
            found+=("${line//:/\\:}")
        fi
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( ${#found} )) && _describe -V 'skupper' found
    (( files )) && _files
    return 0
}
if (( ! $+functions[compdef] )); then
    autoload -Uz compinit && compinit
fi
compdef _skupper skupper
"""

_FISH: Final = r"""# fish completion for skupper; to load it: skupper completion fish | source
function __skupper_ask
    set -l words (commandline -opc)
    $words[1] __complete $words[2..-1] (commandline -ct) 2>/dev/null
end
function __skupper_wants_files
    string match -q ':files' -- (__skupper_ask)
end
complete -c skupper -e
complete -c skupper -f -a "(__skupper_ask | string match -v ':files')"
complete -c skupper -n __skupper_wants_files -F
"""

SCRIPTS: Final[Mapping[str, str]] = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
