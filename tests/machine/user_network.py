"""User networking: iperf3 both ways between guest and host, and a download such as apt's."""
import functools
import hashlib
import http.server
import os
import pathlib
import random
import subprocess
import tempfile
import threading

from guest import check, check_iperf, run, skip

SCRIPT = """#root
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
iperf3 -c 10.0.2.2 -p {iperf} -t 2 -f m | grep receiver | sed 's/^/SENT /'
iperf3 -c 10.0.2.2 -p {iperf} -t 2 -f m -R | grep receiver | sed 's/^/RECEIVED /'
/usr/lib/apt/apt-helper download-file http://10.0.2.2:{http}/blob /tmp/blob >/tmp/log 2>&1 || cat /tmp/log
sha256sum /tmp/blob | sed 's/^/HASH /'
"""


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def main():
    iperf_port = random.randint(20000, 30000)
    try:
        iperf = subprocess.Popen(["iperf3", "-s", "-p", str(iperf_port), "-B", "127.0.0.1"],
                                 stdout=subprocess.DEVNULL)
    except FileNotFoundError:
        skip("iperf3 is not installed")
    try:
        with tempfile.TemporaryDirectory(prefix="touka-http-") as folder:
            blob = random.randbytes(8 << 20)
            pathlib.Path(folder, "blob").write_bytes(blob)
            handler = functools.partial(QuietHandler, directory=folder)
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            script = SCRIPT.format(iperf=iperf_port, http=server.server_address[1])
            status, output = run(script, "--net", "user", "--memory", "512M")
            server.shutdown()
    finally:
        iperf.kill()
        iperf.wait()
    check(status == 0, "the guest powers off", output)
    check_iperf(output)
    check(f"HASH {hashlib.sha256(blob).hexdigest()}" in output, "an 8 MiB download by apt's own helper is unharmed",
          output)


if __name__ == "__main__":
    os.environ.setdefault("PATH", "/usr/bin:/bin")
    main()
