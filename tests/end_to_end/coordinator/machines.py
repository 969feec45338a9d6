"""Machines of a small cluster on this one: each has a network, process numbers and a /proc of its own, and a wire to
the coordinator's machine that a test can cut, both ways or one way. Takes root and a kernel that allows it.

A cut loses packets without a word, as a broken switch does: the sender addresses frames to a card that nobody has.
"""

import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

from cluster import Tanren, beating, lives, processes
from programs import program
from worker_runs import kill, wait_until

COORDINATOR = "10.77.0.1"
PORT = 7411
NOBODYS_CARD = "02:00:00:00:00:99"


class Machine:
    """Lives until it dies or the test's process does."""

    def __init__(self, name):
        self.name = name
        command = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
                   "bash", "-c", "ip link set lo up && echo ready && read -r"]
        try:
            self.holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                           stderr=subprocess.STDOUT, text=True)
        except FileNotFoundError as error:
            raise unittest.SkipTest(f"machines take {error.filename}") from error
        said = self.holder.stdout.readline().strip()
        if said != "ready":
            raise unittest.SkipTest(f"machines take root and namespaces: {said}")
        self.init = next(pid for pid, (parent, _) in processes().items() if parent == self.holder.pid)

    def inside(self):
        """What a command line begins with that runs there."""
        return ["nsenter", "--target", str(self.init), "--net", "--pid", "--mount"]

    def do(self, *command):
        """Settings of its network."""
        ended = subprocess.run(["nsenter", "--target", str(self.init), "--net", *map(str, command)], text=True,
                               capture_output=True, check=False)
        if ended.returncode != 0:
            raise RuntimeError(f"{self.name}: {command}: {ended.stderr}")

    def signal(self, name):
        """To all of its processes, but for the one that the others live by."""
        subprocess.run([*self.inside(), "bash", "-c", f"kill -{name} -1"], check=True)

    def die(self):
        """All of its processes, at once."""
        if self.holder.poll() is None:
            kill(self.init, signal.SIGKILL)

    def wait(self):
        """Until none of them lives."""
        self.holder.wait()
        self.holder.stdin.close()
        self.holder.stdout.close()


class Wire:
    """Between the coordinator's machine and another."""

    def __init__(self, head, machine, number):
        self.head, self.machine = head, machine
        self.near, self.far = f"10.77.{number}.1", f"10.77.{number}.2"
        self.card = f"wire-{number}"
        head.do("ip", "link", "add", self.card, "type", "veth", "peer", "name", "wire", "netns", machine.init)
        head.do("ip", "address", "add", f"{self.near}/30", "dev", self.card)
        head.do("ip", "link", "set", self.card, "up")
        machine.do("ip", "address", "add", f"{self.far}/30", "dev", "wire")
        machine.do("ip", "link", "set", "wire", "up")
        machine.do("ip", "route", "add", "default", "via", self.near)

    def lose(self, to_coordinator=True, from_coordinator=True):
        """From now on what is sent in these directions is lost."""
        if to_coordinator:
            self.machine.do("ip", "neigh", "replace", self.near, "lladdr", NOBODYS_CARD, "nud", "permanent", "dev", "wire")
        if from_coordinator:
            self.head.do("ip", "neigh", "replace", self.far, "lladdr", NOBODYS_CARD, "nud", "permanent", "dev", self.card)

    def mend(self):
        self.machine.do("ip", "neigh", "flush", "dev", "wire", "nud", "permanent")
        self.head.do("ip", "neigh", "flush", "dev", self.card, "nud", "permanent")


class MachinesTest(unittest.TestCase):
    """A coordinator with mutual TLS on a machine of its own, and agents on theirs, which nobody starts again."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="tanren-machines.")
        cls.addClassCleanup(folder.cleanup)
        cls.home = pathlib.Path(folder.name)
        cls.state = cls.home / "coordinator"
        cls.machines = []
        cls.addClassCleanup(cls.end_machines)
        cls.head = cls.machine("head")
        cls.head.do("ip", "address", "add", f"{COORDINATOR}/32", "dev", "lo")
        cls.head.do("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")  # between the others
        cls.wires = {}
        cls.tanren = Tanren(cls.home, cls.head.inside())
        cls.tls = cls.home / "tls"
        made = cls.tanren.run("admin", "init-tls", cls.tls, "--name", COORDINATOR)
        assert made.returncode == 0, made
        configuration = cls.home / ".config/tanren/client.yaml"
        configuration.parent.mkdir(parents=True)
        configuration.write_text(f"address: {COORDINATOR}:{PORT}\ntoken_file: {cls.state}/admin.token\n"
                                 f"ca_file: {cls.tls}/ca.crt\ncertificate_file: {cls.tls}/client.crt\n"
                                 f"key_file: {cls.tls}/client.key\n")
        cls.start(cls.head, "tanren-coordinator", "--state", cls.state, "--listen", f"{COORDINATOR}:{PORT}",
                  "--tls-certificate", cls.tls / "coordinator.crt", "--tls-key", cls.tls / "coordinator.key",
                  "--tls-client-ca", cls.tls / "ca.crt", "--allow-commands")
        wait_until((cls.state / "endpoint").exists, "the coordinator listens")

    @classmethod
    def machine(cls, name):
        machine = Machine(name)
        cls.machines.append(machine)
        return machine

    @classmethod
    def end_machines(cls):
        for machine in cls.machines:
            machine.die()
        for machine in cls.machines:
            machine.wait()

    @classmethod
    def cut(cls, one, other):
        """From now on what these two machines send each other is lost; both reach the coordinator."""
        for source, target in ((one, other), (other, one)):
            cls.head.do("ip", "rule", "add", "from", cls.wires[source].far, "to", cls.wires[target].far, "blackhole")

    @classmethod
    def start(cls, machine, name, *arguments):
        with open(cls.home / f"{machine.name}.log", "a") as log:
            process = subprocess.Popen([*machine.inside(), program(name), *map(str, arguments)], stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=subprocess.STDOUT, env=cls.tanren.environment, cwd=cls.home)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.kill)
        return process

    @classmethod
    def start_machine(cls, name, cpus):
        """Returns its wire. It has joined."""
        machine = cls.machine(name)
        wire = cls.wires[name] = Wire(cls.head, machine, len(cls.wires) + 1)
        cls.start(machine, "tanren-agent", "--coordinator", f"{COORDINATOR}:{PORT}", "--token-file",
                  cls.state / "agent.token", "--ca", cls.tls / "ca.crt", "--certificate", cls.tls / "agent.crt", "--key",
                  cls.tls / "agent.key", "--state", cls.home / name, "--name", name, "--cpus", cpus, "--allow-root")
        return wire

    @classmethod
    def start_beating(cls, name, *options):
        """A job of one core for each rank, whose beats are in <name>.beats. It runs."""
        job = cls.tanren.ask("run", "--folder", cls.home / "runs", *options, *beating(cls.home / f"{name}.beats"))["jobs"][0]
        cls.tanren.wait_for(job, "running")
        wait_until(lambda: lives(cls.home / f"{name}.beats"), "it beats")
        return job
