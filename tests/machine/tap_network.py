"""A tap device in a network namespace of its own: the guest pings the host's end and iperf3 goes both ways."""
import os
import random
import subprocess

from guest import check, check_iperf, run, skip

SCRIPT = """#root
ip link set eth0 up
ip addr add 192.0.2.2/24 dev eth0
ping -c 3 -i 0.2 192.0.2.1 | grep received
iperf3 -c 192.0.2.1 -t 2 -f m | grep receiver | sed 's/^/SENT /'
iperf3 -c 192.0.2.1 -t 2 -f m -R | grep receiver | sed 's/^/RECEIVED /'
"""


def main():
    if os.geteuid() != 0:
        skip("network namespaces need root")
    name = f"touka-{random.randrange(1 << 24):06x}"
    inside = ["ip", "netns", "exec", name]
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode != 0:
        skip("this machine gives no network namespaces")
    iperf = None
    try:
        for command in (["ip", "link", "set", "lo", "up"], ["ip", "tuntap", "add", "tap0", "mode", "tap", "vnet_hdr"],
                        ["ip", "addr", "add", "192.0.2.1/24", "dev", "tap0"], ["ip", "link", "set", "tap0", "up"]):
            subprocess.run([*inside, *command], check=True)
        iperf = subprocess.Popen([*inside, "iperf3", "-s"], stdout=subprocess.DEVNULL)
        status, output = run(SCRIPT, "--net", "tap=tap0", "--memory", "512M", program_prefix=inside)
    finally:
        if iperf:
            iperf.kill()
            iperf.wait()
        subprocess.run(["ip", "netns", "delete", name])
    check(status == 0, "the guest powers off", output)
    check("3 received" in output, "three pings are answered", output)
    check_iperf(output)


if __name__ == "__main__":
    main()
