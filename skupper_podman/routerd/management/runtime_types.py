"""The entity types that only report what the router is doing, as skupper-router 2.7 reports it."""

from __future__ import annotations

from typing import Final

from skupper_podman.routerd.management.table import Table

RUNTIME_TYPES: Final = (
    Table(
        "connection",
        "A connection of the router, of any protocol.",
        """
        name                 string
        identity             string
        host                 string
        role                 string
        protocol             string
        dir                  in|out
        container            string
        sasl                 string
        isAuthenticated      boolean
        user                 string
        isEncrypted          boolean
        sslProto             string
        sslCipher            string
        properties           map
        sslSsf               integer
        type                 string   required
        ssl                  boolean
        opened               boolean
        active               boolean  undeclared
        adminStatus          enabled|deleted  =enabled  update
        operStatus           up|closing
        uptimeSeconds        uint
        lastDlvSeconds       uint
        enableProtocolTrace  boolean  =no  update
        meshId               string
        """,
        operations=("UPDATE",),
        core=True,
    ),
    Table(
        "tcpConnection",
        "One TCP connection that a tcpListener accepted or a tcpConnector opened.",
        """
        name            string
        identity        string
        address         string
        host            string
        direction       in|out
        bytesIn         uint
        bytesOut        uint
        uptimeSeconds   uint
        lastInSeconds   uint
        lastOutSeconds  uint
        type            string  required  unlisted
        """,
        core=True,
    ),
    Table(
        "httpRequestInfo",
        "Counts of the HTTP requests between one client host and one server site.",
        """
        name        string
        identity    string
        address     string
        host        string
        site        string
        direction   in|out
        requests    ulong
        bytesIn     ulong
        bytesOut    ulong
        maxLatency  ulong
        details     map
        type        string  required  unlisted
        """,
        core=True,
    ),
    Table(
        "router.link",
        "An AMQP link of one of the router's connections.",
        """
        name                    string
        identity                string
        type                    string  required
        linkName                string
        linkType                endpoint|router-control|inter-router|edge-downlink|inter-edge
        linkDir                 in|out
        owningAddr              string
        capacity                uint
        peer                    string
        undeliveredCount        ulong
        unsettledCount          ulong
        deliveryCount           ulong
        connectionId            string  undeclared
        adminStatus             enabled|disabled  =enabled  update
        operStatus              up|down|quiescing|idle
        presettledCount         ulong
        droppedPresettledCount  ulong
        acceptedCount           ulong
        rejectedCount           ulong
        releasedCount           ulong
        modifiedCount           ulong
        deliveriesDelayed1Sec   ulong
        deliveriesDelayed10Sec  ulong
        deliveriesStuck         ulong
        openMovedStreams        ulong
        ingressHistogram        list
        priority                uint
        settleRate              uint
        creditAvailable         uint
        zeroCreditSeconds       uint
        """,
        operations=("UPDATE",),
        core=True,
    ),
    Table(
        "router.address",
        "An address that the router knows, with its consumers and counts.",
        """
        name                             string
        identity                         string
        type                             string  required
        key                              string
        distribution                     flood|multicast|closest|balanced|linkBalanced|unavailable
        inProcess                        uint
        subscriberCount                  uint
        remoteCount                      uint
        remoteHostRouters                list
        deliveriesIngress                ulong
        deliveriesEgress                 ulong
        deliveriesTransit                ulong
        deliveriesToContainer            ulong
        deliveriesFromContainer          ulong
        deliveriesEgressRouteContainer   ulong
        deliveriesIngressRouteContainer  ulong
        transitOutstanding               list
        trackedDeliveries                integer
        priority                         int
        deliveriesRedirectedToFallback   ulong  undeclared
        containerCount                   integer  unlisted
        watch                            boolean
        """,
        core=True,
    ),
    Table(
        "router.node",
        "An interior router of the network, this one included.",
        """
        id               string
        protocolVersion  integer
        instance         integer
        linkState        list
        nextHop          string
        validOrigins     list
        address          string
        routerLink       entityId
        cost             integer
        lastTopoChange   integer
        index            integer
        """,
    ),
    Table(
        "logStats",
        "How much one module has logged.",
        """
        debugCount     integer
        infoCount      integer
        noticeCount    integer
        warningCount   integer
        errorCount     integer
        criticalCount  integer
        """,
    ),
    Table(
        "vhostStats",
        "Use and refusals of one virtual host.",
        """
        hostname              string
        connectionsApproved   integer
        connectionsDenied     integer
        connectionsCurrent    integer
        perUserState          map
        perHostState          map
        sessionDenied         integer
        senderDenied          integer
        receiverDenied        integer
        maxMessageSizeDenied  integer
        """,
    ),
    Table(
        "allocator",
        "Use of memory by one type of object.",
        """
        typeName                    string
        typeSize                    integer
        transferBatchSize           integer
        localFreeListMax            integer
        globalFreeListMax           integer
        totalAllocFromHeap          integer
        totalFreeToHeap             integer
        heldByThreads               integer
        batchesRebalancedToThreads  integer
        batchesRebalancedToGlobal   integer
        """,
    ),
)
