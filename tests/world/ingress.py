"""nginx's configuration as the controller ingress-nginx writes it from Ingress manifests, without its Lua.

It follows `rootfs/etc/nginx/template/nginx.tmpl` and `updateServerLocations`, `buildLocation` and `buildProxyPass` of the controller, with its
defaults. What is not known here, an annotation or a kind of path, is an error and no guess.
"""

import re

PREFIX = "nginx.ingress.kubernetes.io/"
KNOWN = {"proxy-read-timeout", "proxy-send-timeout", "proxy-buffering", "use-regex", "rewrite-target", "x-forwarded-prefix"}

LOCATION = """
location {path} {{
    port_in_redirect off;
    set $pass_access_scheme $scheme;
    set $best_http_host $http_host;
    set $pass_port $server_port;
    client_max_body_size 1m;
    proxy_set_header Host $best_http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header X-Request-ID $request_id;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Host $best_http_host;
    proxy_set_header X-Forwarded-Port $pass_port;
    proxy_set_header X-Forwarded-Proto $pass_access_scheme;
    proxy_set_header X-Forwarded-Scheme $pass_access_scheme;
    proxy_set_header X-Scheme $pass_access_scheme;
    proxy_set_header X-Original-Forwarded-For $http_x_forwarded_for;
    proxy_set_header X-Original-Forwarded-Host $http_x_forwarded_host;
    proxy_set_header Proxy "";
    proxy_connect_timeout 5s;
    proxy_send_timeout {send}s;
    proxy_read_timeout {read}s;
    proxy_buffering {buffering};
    proxy_buffer_size 4k;
    proxy_buffers 4 4k;
    proxy_max_temp_file_size 1024m;
    proxy_request_buffering on;
    proxy_http_version 1.1;
    proxy_cookie_domain off;
    proxy_cookie_path off;
    proxy_next_upstream error timeout;
    proxy_next_upstream_timeout 0;
    proxy_next_upstream_tries 3;
    {rewrite}
    proxy_pass http://{upstream};
    proxy_redirect off;
}}
"""


def server(things, listen, ports):
    """The part of `http { }` for all ingresses of `things` on a port of loopback. `ports` says where a container's port really listens."""
    upstreams, locations = {}, []
    for ingress in (thing for thing in things if thing["kind"] == "Ingress"):
        assert ingress["spec"]["ingressClassName"] == "nginx", "another controller's ingress"
        annotations = {name.removeprefix(PREFIX): value for name, value in ingress["metadata"].get("annotations", {}).items()}
        assert annotations.keys() <= KNOWN, f"not rendered here: {annotations.keys() - KNOWN}"
        for rule in ingress["spec"]["rules"]:
            assert "host" not in rule, "a rule of one host is not rendered here"
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                upstream = f"{backend['name']}-{backend['port']['name']}"
                upstreams[upstream] = ports[container_port(things, backend["name"], backend["port"]["name"])]
                locations += [location(at, annotations, path["path"], upstream) for at in places(path, annotations)]
    blocks = [f"upstream {name} {{ server 127.0.0.1:{port}; keepalive 320; }}" for name, port in upstreams.items()]
    upgrade = "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }"
    rest = "location / { return 404; }"
    return "\n".join([upgrade, *blocks, f"server {{ listen 127.0.0.1:{listen} default_server; server_name _;", *locations, rest, "}"])


def container_port(things, service, port):
    """Follows a port from the service to the container."""
    (found,) = [thing for thing in things if thing["kind"] == "Service" and thing["metadata"]["name"] == service]
    (of_service,) = [one for one in found["spec"]["ports"] if one["name"] == port and one["protocol"] == "TCP"]
    pods = [thing["spec"]["template"] for thing in things if thing["kind"] == "Deployment"]
    (pod,) = [pod for pod in pods if found["spec"]["selector"].items() <= pod["metadata"]["labels"].items()]
    every = [one for container in pod["spec"]["containers"] for one in container["ports"]]
    (of_container,) = [one for one in every if (one["name"], one["protocol"]) == (of_service["targetPort"], "TCP")]
    return of_container["containerPort"]


def places(path, annotations):
    """Where nginx matches a path: one for a regular expression, two for a prefix, since `/locust` must not match `/locusts`."""
    text, kind = path["path"], path["pathType"]
    if annotations.get("use-regex") == "true" or "rewrite-target" in annotations:
        assert kind == "ImplementationSpecific", f"the controller refuses the path {text} as {kind}"
        return [f'~* "^{text}"']
    assert re.fullmatch(r"/[\w./-]*", text, re.ASCII), f"the controller refuses the path {text} as {kind}"
    return {"Prefix": [f'"{text.rstrip("/")}/"', f'= "{text}"'], "Exact": [f'= "{text}"'], "ImplementationSpecific": [f'"{text}"']}[kind]


def location(at, annotations, path, upstream):
    rewrite = ""
    if "rewrite-target" in annotations:
        rewrite = f'rewrite "(?i){path}" {annotations["rewrite-target"]} break;'
        # The controller sets it beside a rewrite only.
        if "x-forwarded-prefix" in annotations:
            rewrite += f' proxy_set_header X-Forwarded-Prefix "{annotations["x-forwarded-prefix"]}";'
    return LOCATION.format(
        path=at,
        rewrite=rewrite,
        upstream=upstream,
        send=annotations.get("proxy-send-timeout", 60),
        read=annotations.get("proxy-read-timeout", 60),
        buffering=annotations.get("proxy-buffering", "off"),
    )
