"""An addon for mitmproxy that makes trouble between a connector and a service; run in mitmproxy's own environment.

`POST /_faults` says what goes wrong from now on: a list of {"fault", "times", "method", "path", "header", "body", ...},
and is answered with how often each fault of the list before was met. Each request that fits (method, a part of its
path, a header that it has, a part of its body) meets the first fault that is not used up.

answer    the service is not asked: `status`, `headers`
reset     the connection is cut before the service is asked
drop      the service did its work, and its answer is lost
truncate  half of the body arrives
html      a page arrives instead of JSON
endless   a page of records has a link to a next page, always another one
late      the answer comes after `seconds`
"""

import asyncio
import json

from mitmproxy import ctx, http


class Faults:
    def __init__(self):
        self.plan = []
        self.links = 0

    def load(self, loader):
        loader.add_option("routes", str, "", "Which port serves which beginning of a path.")

    def request(self, flow):
        if flow.request.path == "/_faults":
            met = [fault.get("met", 0) for fault in self.plan]
            self.plan = json.loads(flow.request.content)
            flow.response = http.Response.make(200, json.dumps(met).encode())
            return
        for route in ctx.options.routes.split(","):
            root, _, port = route.partition("=")
            if flow.request.path.startswith(root):
                flow.request.port = int(port)
        fault = self._next(flow)
        flow.metadata["fault"] = fault
        if fault.get("fault") == "answer":
            body = b'{"error": {"code": "", "message": "Too busy"}}'
            flow.response = http.Response.make(fault["status"], body, fault.get("headers", {}))
        elif fault.get("fault") == "reset":
            flow.kill()

    def _next(self, flow):
        for fault in self.plan:
            fits = fault.get("method", flow.request.method) == flow.request.method
            fits = fits and fault.get("path", "") in flow.request.path
            fits = fits and fault.get("header", "Host") in flow.request.headers
            fits = fits and fault.get("body", "").encode() in flow.request.content
            if fits and fault.get("times", 1) > 0:
                fault["times"] = fault.get("times", 1) - 1
                fault["met"] = fault.get("met", 0) + 1
                return fault
        return {}

    async def response(self, flow):
        fault = flow.metadata.get("fault", {})
        kind = fault.get("fault")
        if kind == "drop":
            flow.kill()
        elif kind == "late":
            await asyncio.sleep(fault["seconds"])
        elif kind == "truncate":
            flow.response.content = flow.response.content[: len(flow.response.content) // 2]
        elif kind == "html":
            page = b"<!DOCTYPE html><html><body>Please sign in</body></html>"
            flow.response = http.Response.make(200, page, {"Content-Type": "text/html"})
        elif kind == "endless":
            page = json.loads(flow.response.content)
            self.links += 1
            page["@odata.nextLink"] = f"{flow.request.path.partition('&$skiptoken')[0]}&$skiptoken={self.links}"
            flow.response.content = json.dumps(page).encode()


addons = [Faults()]
