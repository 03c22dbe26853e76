"""The entity types that a configuration file may contain, with the attributes and defaults of skupper-router 2.7.

Source: its management schema and what a 2.7.3 router reports.
"""

from __future__ import annotations

from typing import Final

from skupper_podman.routerd.management.table import CONFIGURATION, Table

_ROLES: Final = "normal|inter-router|route-container|edge|inter-edge"
_TREATMENTS: Final = "multicast|closest|balanced|unavailable"
_CREATED: Final = ("CREATE", "DELETE")

LOG_MODULES: Final = (
    "ROUTER",
    "ROUTER_CORE",
    "ROUTER_HELLO",
    "ROUTER_LS",
    "ROUTER_MA",
    "MESSAGE",
    "SERVER",
    "AGENT",
    "CONTAINER",
    "ERROR",
    "POLICY",
    "HTTP",
    "CONN_MGR",
    "PYTHON",
    "PROTOCOL",
    "TCP_ADAPTOR",
    "HTTP_ADAPTOR",
    "FLOW_LOG",
    "ADDRESS_WATCH",
    "DEFAULT",
)
"""The modules whose logging can be configured."""

CONFIGURED_TYPES: Final = (
    Table(
        "router",
        "The router itself: its configuration and its totals.",
        f"""
        name                            string
        identity                        string
        id                              string  create
        type                            string  required
        mode                            standalone|interior|edge  =standalone  create
        area                            string  =0
        vanId                           string  create
        version                         string
        metadata                        string  create
        addrCount                       ulong
        linkCount                       ulong
        nodeCount                       ulong
        autoLinkCount                   ulong
        connectionCount                 ulong
        presettledDeliveries            ulong
        droppedPresettledDeliveries     ulong
        acceptedDeliveries              ulong
        rejectedDeliveries              ulong
        releasedDeliveries              ulong
        modifiedDeliveries              ulong
        deliveriesDelayed1Sec           ulong
        deliveriesDelayed10Sec          ulong
        deliveriesStuck                 ulong
        deliveriesIngress               ulong
        deliveriesEgress                ulong
        deliveriesTransit               ulong
        deliveriesIngressRouteContainer ulong
        deliveriesEgressRouteContainer  ulong
        deliveriesRedirectedToFallback  ulong    undeclared
        linksBlocked                    uint     undeclared
        uptimeSeconds                   uint
        memoryUsage                     ulong
        workerThreads                   int      =4  create  1..
        residentMemoryUsage             ulong
        connectionCounters              map
        hostName                        string   unlisted
        blockedLinkCount                integer  unlisted
        tcpConnectionCount              integer  unlisted
        helloIntervalSeconds            integer  =1  create  unlisted  1..
        helloMaxAgeSeconds              integer  =3  create  unlisted  1..
        raIntervalSeconds               integer  =30  create  unlisted  1..
        raIntervalFluxSeconds           integer  =4  create  unlisted  1..
        remoteLsMaxAgeSeconds           integer  =60  create  unlisted  1..
        dataConnectionCount             string   =auto  create  unlisted
        dropTcpConnections              boolean  =no  create  unlisted
        defaultDistribution             {_TREATMENTS}  =balanced  create  unlisted
        saslConfigDir                   path     create  unlisted
        saslConfigName                  string   =skrouterd  create  unlisted
        timestampsInUTC                 boolean  create  unlisted
        timestampFormat                 string   create  unlisted
        debugDumpFile                   path     create  unlisted
        """,
        base=CONFIGURATION,
        singleton=True,
        core=True,
    ),
    Table(
        "sslProfile",
        "TLS credentials and trust that listeners and connectors refer to by name.",
        """
        ciphers             string  create
        protocols           string  create
        caCertFile          path    create
        certFile            path    create
        privateKeyFile      path    create
        password            string  create  hidden
        uidFormat           string  create
        uidNameMappingFile  string  create
        """,
        base=CONFIGURATION,
        operations=_CREATED,
    ),
    Table(
        "listener",
        "Accepts AMQP connections, or HTTP requests for health and metrics.",
        f"""
        host                            string   =  create
        port                            string   =amqp  create
        socketAddressFamily             IPv4|IPv6  create
        role                            {_ROLES}  =normal  create
        cost                            integer  =1  create  1..2147483647
        sslProfile                      string   create
        saslMechanisms                  string   create
        authenticatePeer                boolean  =no  create
        requireEncryption               boolean  =no  create
        requireSsl                      boolean  =no  create
        maxFrameSize                    integer  =16384  create  0..4294967295
        maxSessions                     integer  =32768  create  1..
        maxSessionFrames                integer  create  0..
        idleTimeoutSeconds              integer  =16  create  0..
        initialHandshakeTimeoutSeconds  integer  =0  create  0..
        stripAnnotations                in|out|both|no  =both  create
        linkCapacity                    integer  create  0..
        failoverUrls                    string   create
        healthz                         boolean  =yes  create
        metrics                         boolean  =yes  create
        websockets                      boolean  =yes  create
        http                            boolean  =no  create
        httpRootDir                     path     create
        messageLoggingComponents        string   =none  create
        policyVhost                     string   create
        openProperties                  properties  create
        """,
        base=CONFIGURATION,
        operations=_CREATED,
    ),
    Table(
        "connector",
        "Keeps an AMQP connection to another router or broker.",
        f"""
        host                      string   =127.0.0.1  create
        port                      string   =amqp  create
        socketAddressFamily       IPv4|IPv6  create
        role                      {_ROLES}  =normal  create
        cost                      integer  =1  create  1..2147483647
        sslProfile                string   create
        saslMechanisms            string   create
        allowRedirect             boolean  =yes  create
        maxFrameSize              integer  =16384  create  0..4294967295
        maxSessions               integer  =32768  create  1..
        maxSessionFrames          integer  create  0..
        idleTimeoutSeconds        integer  =16  create  0..
        stripAnnotations          in|out|both|no  =both  create
        linkCapacity              integer  create  0..
        verifyHostname            boolean  =yes  create
        saslUsername              string   create
        saslPassword              string   create  hidden
        messageLoggingComponents  string   =none  create
        failoverUrls              string
        connectionStatus          string
        connectionMsg             string
        policyVhost               string   create
        openProperties            properties  create
        """,
        base=CONFIGURATION,
        operations=_CREATED,
    ),
    Table(
        "tcpListener",
        "Accepts TCP connections and carries each to a consumer of its address.",
        """
        address            string   create  required
        host               string   =0.0.0.0  create
        backlog            integer  =0  create  0..
        port               string   create  required
        siteId             string   create
        connectionsOpened  integer
        connectionsClosed  integer
        bytesIn            integer
        bytesOut           integer
        sslProfile         string   create
        authenticatePeer   boolean  =no  create
        encapsulation      legacy|lite  =legacy  create
        operStatus         up|down
        """,
        base=CONFIGURATION,
        operations=_CREATED,
    ),
    Table(
        "tcpConnector",
        "Consumes an address and opens a TCP connection to a server for each stream.",
        """
        address            string   create  required
        host               string   create  required
        port               string   create  required
        siteId             string   create
        connectionsOpened  integer
        connectionsClosed  integer
        bytesIn            integer
        bytesOut           integer
        sslProfile         string   create
        verifyHostname     boolean  =yes  create
        encapsulation      legacy|lite  =legacy  create
        """,
        base=CONFIGURATION,
        operations=_CREATED,
    ),
    Table(
        "httpListener",
        "Accepts HTTP requests and carries each to a consumer of its address.",
        """
        host              string   =0.0.0.0  create
        address           string   create  required
        port              string   create  required
        backlog           integer  =0  create  0..
        siteId            string   create
        sslProfile        string   create
        authenticatePeer  boolean  =no  create
        protocolVersion   HTTP1|HTTP2  =HTTP1  create
        aggregation       multipart|json  create
        eventChannel      boolean  create
        operStatus        up|down
        """,
        base=CONFIGURATION,
        operations=_CREATED,
    ),
    Table(
        "httpConnector",
        "Consumes an address and sends its HTTP requests to a server.",
        """
        address          string   create  required
        host             string   =127.0.0.1  create
        siteId           string   create
        port             string   create  required
        sslProfile       string   create
        protocolVersion  HTTP1|HTTP2  =HTTP1  create
        aggregation      multipart|json  create
        eventChannel     boolean  create
        verifyHostname   boolean  =yes  create  alias:verifyHostName
        hostOverride     string   create
        """,
        base=CONFIGURATION,
        operations=_CREATED,
    ),
    Table(
        "log",
        "What one module logs, and where to.",
        f"""
        module            {"|".join(LOG_MODULES)}  required  create
        enable            string   create  update
        includeTimestamp  boolean  create  update
        includeSource     boolean  create  update
        outputFile        string   create  update
        """,
        base=CONFIGURATION,
        operations=("UPDATE",),
    ),
    Table(
        "router.config.address",
        "How messages to a family of addresses are distributed.",
        f"""
        name          string
        identity      string
        type          string  required
        prefix        string  create
        distribution  {_TREATMENTS}  =balanced  create
        pattern       string  create
        priority      int     create  0..9  absent:-1
        """,
        base=CONFIGURATION,
        operations=_CREATED,
        core=True,
    ),
    Table(
        "router.config.autoLink",
        "A link that the router attaches by itself on a connection to a broker.",
        """
        name             string
        identity         string
        type             string  required
        address          string  create  required  alias:addr
        addr             string  undeclared
        direction        in|out  create  required  alias:dir
        dir              string  undeclared
        connection       string  create
        containerId      string  create
        externalAddress  string  create  alias:externalAddr
        externalAddr     string  undeclared
        linkRef          string
        operStatus       inactive|attaching|failed|active|quiescing|idle
        lastError        string
        """,
        base=CONFIGURATION,
        operations=_CREATED,
        core=True,
    ),
    Table(
        "policy",
        "Limits on connections, and whether virtual hosts are enforced.",
        """
        maxConnections           integer  =65535  create  0..
        maxMessageSize           integer  =0  create  0..
        enableVhostPolicy        boolean  =no  create
        enableVhostNamePatterns  boolean  =no  create
        policyDir                path     =  create
        defaultVhost             string   =$default  create
        connectionsProcessed     integer  absent:0
        connectionsDenied        integer  absent:0
        connectionsCurrent       integer  absent:0
        linksDenied              integer  absent:0
        maxMessageSizeDenied     integer  absent:0
        totalDenials             integer  absent:0
        """,
        base=CONFIGURATION,
        singleton=True,
    ),
    Table(
        "vhost",
        "What users of one virtual host may do.",
        """
        hostname               string   required  create
        aliases                string   create  update
        maxConnections         integer  =65535  create  update  0..
        maxMessageSize         integer  create  0..
        maxConnectionsPerUser  integer  =65535  create  update  0..
        maxConnectionsPerHost  integer  =65535  create  update  0..
        allowUnknownUser       boolean  =no  create  update
        groups                 map      create  update
        """,
        base=CONFIGURATION,
        operations=("CREATE", "UPDATE", "DELETE"),
    ),
    Table(
        "vhostUserGroupSettings",
        "What one group of users may do; stands inside the groups of a vhost.",
        """
        users                   string   required  create
        remoteHosts             string   required  create
        maxConnectionsPerUser   integer  create
        maxConnectionsPerHost   integer  create
        maxMessageSize          integer  create
        maxFrameSize            integer  create
        maxSessionWindow        integer  create
        maxSessions             integer  create
        maxSenders              integer  =2147483647  create
        maxReceivers            integer  =2147483647  create
        allowDynamicSource      boolean  =no  create
        allowAnonymousSender    boolean  =no  create
        allowUserIdProxy        boolean  =no  create
        allowAdminStatusUpdate  boolean  =yes  create
        sources                 string   create
        targets                 string   create
        sourcePattern           string   create
        targetPattern           string   create
        """,
        base=CONFIGURATION,
    ),
)
