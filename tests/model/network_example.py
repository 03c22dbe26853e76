"""A network of two sites as one of them sees it: field order and nulls as other programs write them."""

LOCAL = "eb0b1e13-981f-43fb-8fce-bb9829e3d1ec"
WEST = "34fadf03-4487-4b37-a5c3-f6b10f03cfa6"
ADDRESS = "e0550f85-2be2-4fa0-8d21-dd8b515e6ffc"

TEXT = (
    '{"addresses":[{"recType":"ADDRESS","identity":"' + ADDRESS + '","startTime":1732096890000000,"endTime":0,'
    '"name":"backend:8080","protocol":"tcp","listenerCount":2,"connectorCount":1}],"siteStatus":['
    '{"site":{"recType":"SITE","identity":"' + LOCAL + '","startTime":1732096800000000,"endTime":0,'
    '"source":"' + LOCAL + '","platform":"podman","name":"host1-alice-3f2a1","nameSpace":"","siteVersion":"1.9.6",'
    '"policy":"disabled"},"routerStatus":['
    '{"router":{"recType":"ROUTER","identity":"k7x2m:0","parent":"' + LOCAL + '","startTime":1732096801000000,'
    '"endTime":0,"source":"k7x2m:0","name":"0/host1-alice-3f2a1","mode":"interior","imageName":"skupper-router",'
    '"imageVersion":"2.7.6","hostname":"00981d1a0cda","buildVersion":"2.7.6"},'
    '"links":[{"recType":"LINK","identity":"k7x2m:1","parent":"k7x2m:0","startTime":1732096805000000,"endTime":0,'
    '"source":"k7x2m:0","mode":"interior","name":"west-skupper-router-7b45b6b8f4-52tjs","linkCost":1,'
    '"direction":"outgoing"}],"listeners":null,"connectors":null},'
    '{"router":{"recType":"ROUTER","identity":"ftkAX:0","parent":"' + LOCAL + '","startTime":1732096899000000,'
    '"endTime":0,"source":"ftkAX:0","name":"0/host1-alice-3f2a1-backend","mode":"edge","imageName":"skupper-router",'
    '"imageVersion":"2.7.6","hostname":"e6f1c83a9019","buildVersion":"2.7.6"},'
    '"links":[{"recType":"LINK","identity":"ftkAX:2","parent":"ftkAX:0","startTime":1732096900100000,"endTime":0,'
    '"source":"ftkAX:0","mode":"edge","name":"host1-alice-3f2a1","direction":"outgoing"}],'
    '"listeners":[{"recType":"LISTENER","identity":"ftkAX:1","parent":"ftkAX:0","startTime":1732096900000000,'
    '"endTime":0,"source":"ftkAX:0","name":"backend:8080","destHost":"0.0.0.0","destPort":"8080","protocol":"tcp",'
    '"address":"backend:8080","addressId":"' + ADDRESS + '"}],"connectors":null}]},'
    '{"site":{"recType":"SITE","identity":"' + WEST + '","startTime":1732090000000000,"endTime":0,'
    '"source":"' + WEST + '","platform":"kubernetes","name":"west","nameSpace":"west","siteVersion":"1.9.6",'
    '"policy":"disabled"},"routerStatus":['
    '{"router":{"recType":"ROUTER","identity":"52tjs:0","parent":"' + WEST + '","startTime":1732090010000000,'
    '"endTime":0,"source":"52tjs:0","name":"0/west-skupper-router-7b45b6b8f4-52tjs","namespace":"west",'
    '"mode":"interior","imageName":"skupper-router","imageVersion":"2.7.6",'
    '"hostname":"skupper-router-7b45b6b8f4-52tjs","buildVersion":"2.7.6"},'
    '"links":[{"recType":"LINK","identity":"52tjs:3","parent":"52tjs:0","startTime":1732096805100000,"endTime":0,'
    '"source":"52tjs:0","mode":"interior","name":"host1-alice-3f2a1","linkCost":1,"direction":"incoming"}],'
    '"listeners":[{"recType":"LISTENER","identity":"52tjs:5","parent":"52tjs:0","startTime":1732096890000000,'
    '"endTime":0,"source":"52tjs:0","name":"backend:8080","destHost":"0.0.0.0","destPort":"1024","protocol":"tcp",'
    '"address":"backend:8080","addressId":"' + ADDRESS + '"}],'
    '"connectors":[{"recType":"CONNECTOR","identity":"52tjs:6","parent":"52tjs:0","startTime":1732096890000000,'
    '"endTime":0,"source":"52tjs:0","destHost":"10.244.0.17","destPort":"8080","protocol":"tcp",'
    '"address":"backend:8080","target":"backend-9d84544df-rbzjx",'
    '"processId":"2f0c6c1e-6f6b-4a0c-9a0e-0d9c4a5b7c11","addressId":"' + ADDRESS + '"}]}]}]}'
)
