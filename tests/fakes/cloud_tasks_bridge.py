"""Between our REST calls and the gRPC of gcloud-tasks-emulator; runs in that program's own environment.

Google's own message types read what we send, strictly: a field they do not know is an error.
"""

# Its libraries are in an environment of their own.
# mypy: ignore-errors

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport
from google.protobuf import json_format

WITHIN_S = 10


def main(port: int, emulator: str, queue: str) -> None:
    """Make *queue* in the emulator, then hand on every task that is posted."""
    transport = CloudTasksGrpcTransport(channel=grpc.insecure_channel(emulator))
    client = tasks_v2.CloudTasksClient(transport=transport)
    parent = queue.rsplit("/queues/", 1)[0]
    client.create_queue(parent=parent, queue=tasks_v2.Queue(name=queue), timeout=WITHIN_S)

    class Bridge(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            request = tasks_v2.CreateTaskRequest()
            status, answer = 200, "{}"
            try:
                json_format.ParseDict(body, tasks_v2.CreateTaskRequest.pb(request))
                request.parent = self.path.removeprefix("/v2/").removesuffix("/tasks")
                client.create_task(request, timeout=WITHIN_S)
            except json_format.ParseError as exc:
                status, answer = (
                    400,
                    json.dumps({"error": {"status": "INVALID_ARGUMENT", "message": str(exc)}}),
                )
            except GoogleAPICallError as exc:
                status, answer = exc.code or 500, json.dumps({"error": {"status": exc.grpc_status_code.name}})
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Bridge)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
