# The table of wrong files: each is the right pair with one passage changed, and the comment "#<"
# in the new passage marks the line where the fault must be told.
"""Tests of director.config: what is refused, where, and with which mend."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.config.load import check_text, file_digest, load, read
from director.errors import ConfigError, Exit, Fault
from director.model.address import Prefix
from director.model.vip import Auth

PAIR = (Path(__file__).parent / "pair.toml").read_text()
MARK = "#<"

TWO_ROUTERS = """\
[vrrp.web]
interface = "front"
vrid = 51
addresses = ["192.0.2.10", "192.0.2.11", {{ address = "10.0.8.1/24", interface = "servers", advertise = false }}]
[vrrp.mail]
interface = "front"
{rest}
"""
ROUTER = PAIR[PAIR.index("[vrrp.web]") : PAIR.index("[real_servers]")]
PRIORITIES = PAIR[PAIR.index("priority = 150") : PAIR.index("[sync]")]
AUTH = '{ method = "ah", secret_file = "/etc/director/vrrp.secret" }'
MANY_VIPS = ", ".join(f'"198.18.0.{last}"' for last in range(1, 255))


def two_routers(rest: str, first: str = "") -> tuple[str, str]:
    text = TWO_ROUTERS.format(rest=rest)
    return ROUTER, text.replace("vrid = 51\n", f"vrid = 51\n{first}", 1)


BOTH = PAIR[PAIR.index("[nodes.lb1]") : PAIR.index("[real_servers]")]


def grouped(*, lb1: int, priority: int, mark: str = "") -> str:
    """Two routers of one group. `lb1` ends its address on servers, `priority` is lb2's."""
    text = BOTH.replace("10.0.8.2", f"10.0.8.{lb1}").replace("= 100\n", f"= {priority}{mark}\n")
    text = text.replace("vrid = 51\n", 'vrid = 51\ngroup = "edge"\n')
    nat = 'interface = "servers"\nvrid = 52\ngroup = "edge"\naddresses = ["10.0.8.9"]\n'
    return f"{text}[vrrp.nat]\n{nat}\n"


WEB = 'real_servers = ["web1", { server = "web2", weight = 50 }]'
WEB_KEY = "services.web.real_servers"
HEALTH = 'kind = "http"\n'
SYNC_ID = '"ha"\nid = 51\n'
VRID = "vrid = 51\n"
VIRTUAL = 'virtual = "192.0.2.10:80"'
CHECKS = 'checks = ["health"]'
API = 'scheduler_flags = ["mh-port", "mh-fallback"]\n'
PORT_CHECK = 'check = { kind = "tcp", port = 21 }'
MARKED = f"{VIRTUAL}\n{WEB}\n{CHECKS}"
SERVICE = f"[services.web]\n{MARKED}"


def matched(match: str, more: str = "") -> str:
    """A service of a mark that the director sets."""
    return f'fwmark = 20\nfamily = "ipv4"\n{more}{PORT_CHECK}\n{WEB}\nmatch = {match} #<'


WRONG = {
    # what is wrong: (old passage, new passage, key, fault, mend)
    # -- shape
    "unknown key": (WEB, 'wieght = 5 #<\n' + WEB, "services.web.wieght", "is no key here", 'did you mean "weight"?'),
    "unknown key, nothing near": (WEB, "zzz = 5 #<\n" + WEB, "services.web.zzz", "is no key here", "known here: allow, check, checks, checks_need, cut_after, drain"),
    "unknown table": ("[sync]", "[snyc] #<\na = 1\n[sync]", "snyc", "is no key here", 'did you mean "sync"?'),
    "weight above": (WEB, 'real_servers = [\n"web1",\n{ server = "web2",\n weight = 70000 }] #<', f"{WEB_KEY}[1].weight", "70000 is outside 0..65535", "0..65535"),
    "weight below": (WEB, "weight = -1 #<\n" + WEB, "services.web.weight", "-1 is outside 0..65535", "0..65535"),
    "string for a number": (WEB, 'weight = "5" #<\n' + WEB, "services.web.weight", "not a whole number", "write 5, without quotes"),
    "boolean for a number": (WEB, "weight = true #<\n" + WEB, "services.web.weight", "true is not a whole number", "write a number in 0..65535"),
    "number for a string": (VIRTUAL, "virtual = 80 #<", "services.web.virtual", "80 is not a string or a list", "write a string or a list"),
    "table for a string": (VIRTUAL, "virtual = { a = 1 } #<", "services.web.virtual", "a table is not a string", "write a string"),
    "list for a table": ("[sync]\n", "[[kernel]] #<\n[sync]\n", "kernel", "a list is not a table", "write a table"),
    "bare number for a duration": ("[sync]\n", "[kernel]\nresync = 2 #<\n[sync]\n", "kernel.resync", "bare number where a duration is meant", 'write "2s"'),
    "bare number in a union": (WEB, "persistence = 300 #<\n" + WEB, "services.web.persistence", "bare number", 'write "300s"'),
    "no duration": ('interval = "100ms"', 'interval = "fast" #<', "vrrp.web.interval", "is not a duration", "one number and one unit"),
    "no duration in a union": (WEB, 'persistence = "long" #<\n' + WEB, "services.web.persistence", "is not a duration", "one unit"),
    "endless duration": (WEB, f'drain = "{"9" * 400}d" #<\n' + WEB, "services.web.drain", "is not between", "write a duration between"),
    "mistyped scheduler": (WEB, 'scheduler = "wcl" #<\n' + WEB, "services.web.scheduler", '"wcl" is none of', 'did you mean "wlc"?'),
    "server missing": (WEB, "real_servers = [{ weight = 5 }] #<", f"{WEB_KEY}[0].server", "server is missing", "add server"),
    "three thresholds": (SYNC_ID, SYNC_ID + "threshold = [1, 2, 3] #<\n", "sync.threshold", "has 3 values, not 2", "write 2 values"),
    "huge number": ("[sync]\n", "[kernel.sysctl]\n'net.ipv4.x' = 0x" + "F" * 9000 + " #<\n[sync]\n", 'kernel.sysctl."net.ipv4.x"', "a number beyond 64 bits is outside", "write a number"),
    "huge status": ('status = ["200-299"]', f"status = 0x{'F' * 9000} #<", "checks.health.status", "outside 100..599", "100..599"),
    "huge duration": (WEB, f"drain = 0x{'F' * 9000} #<\n" + WEB, "services.web.drain", "bare number", "write"),
    "no device": ('ha = "eth2"', 'ha = "eth 2" #<', "interfaces.ha", "not the name of a network device", "ip link"),
    # -- not built yet
    "later key": ("vrid = 51\n", "vrid = 51\ntrack = [] #<\n", "vrrp.web.track", "track is not built yet", "leave it out; this version does not have it"),
    "later table": ("[sync]\n", '[link] #<\ninterface = "ha"\n[sync]\n', "link", "link is not built yet", "leave it out"),
    "later value": ("vrid = 51\n", 'vrid = 51\nfailback = { when = "synced" } #<\n', "vrrp.web.failback.when", 'when = "synced" is not built yet', "leave it out"),
    "later kind": (HEALTH, 'kind = "exec" #<\n', "checks.health.kind", 'kind = "exec" is not built yet', "it has tcp, http"),
    # -- the file itself
    "format unknown": ("format = 1", "format = 2 #<", "format", "format 2 is not one", "write format = 1"),
    "format missing": ("format = 1", "#<", "format", "format is missing", "begin the file with format = 1"),
    "format second": ("format = 1", "include = []\nformat = 1 #<", "format", "not the first key", "begin the file"),
    # -- nodes and interfaces
    "no nodes": (PAIR[PAIR.index("[nodes.lb1]") : PAIR.index("[sync]")], "", "nodes", "there are no nodes", "add [nodes.NAME]"),
    "bad node name": ("[nodes.lb2]", "[nodes.LB2] #<", "nodes.LB2", "is not a name", "a-z"),
    "bad service name": ("[services.web]", '[services."we b"] #<', 'services."we b"', "is not a name", "begin with a letter"),
    "host name for an address": ('front = "192.0.2.3"', 'front = "lb2.example.com"', "nodes.lb2.addresses.front", "is not an address", "host names are not looked up"),
    "unknown role of a node": ("ha = \"10.0.9.3\" }", "hha = \"10.0.9.3\" } #<", "nodes.lb2.addresses.hha", 'no role "hha"', 'did you mean "ha"?'),
    "unknown role overlaid": ("priority = 100", 'priority = 100\ninterfaces = { rear = "eth9" } #<', "nodes.lb2.interfaces.rear", 'no role "rear"', "front, servers, ha"),
    "unknown router overlaid": ("priority = 100", "priority = 100\nvrrp.webb = { priority = 9 } #<", "nodes.lb2.vrrp.webb", "no virtual router", 'did you mean "web"?'),
    "node without an address": ('front = "192.0.2.3", ', "", "nodes.lb2.addresses.front", "needs an address of lb2 on front", "add front ="),
    "node of the other family": ('front = "192.0.2.3"', 'front = "2001:db8::3"', "nodes.lb2.addresses.front", "sends IPv4 adverts", "IPv4 address"),
    "one address on two nodes": ('front = "192.0.2.3"', 'front = "192.0.2.2"', "nodes.lb2.addresses.front", "is an address of lb1 already; the other is at director.toml:9", "its own"),
    "priority above the owner's": ("priority = 100", "priority = 256 #<", "nodes.lb2.priority", "256 is outside 1..255", "1..255"),
    # -- kernel and sync
    "sync without a role": ('interface = "ha"\nid = 51', "id = 51", "sync.interface", "interface is missing", "role of [interfaces]"),
    "sync with an unknown role": ('interface = "ha"\nid', 'interface = "haa" #<\nid', "sync.interface", 'no role "haa"', 'did you mean "ha"?'),
    "sync id": (SYNC_ID, '"ha"\nid = 256 #<\n', "sync.id", "256 is outside 0..255", "0..255"),
    "sync group": (SYNC_ID, SYNC_ID + 'group = "10.0.0.1" #<\n', "sync.group", "not a multicast address", "224.0.0.81"),
    "sync threshold": (SYNC_ID, SYNC_ID + "threshold = [5, 3] #<\n", "sync.threshold", "never tells the peer", "[0, 0]"),
    "sync of a node alone": ('[sync]\ninterface = "ha"\nid = 51\n\n[vrrp', "[nodes.lb1.sync] #<\nid = 3\n[vrrp", "nodes.lb1.sync", "no [sync]", "add [sync]"),
    "timeout in fractions": ("[sync]\n", '[kernel]\ntimeouts = { tcp = "1.5s" } #<\n[sync]\n', "kernel.timeouts.tcp", "not whole seconds", "whole seconds"),
    "resync without rest": ("[sync]\n", '[kernel]\nresync = "0s" #<\n[sync]\n', "kernel.resync", "is not between", "100ms"),
    "sysctl by a path": ("[sync]\n", '[kernel.sysctl]\n"../etc/x" = 1 #<\n[sync]\n', 'kernel.sysctl."../etc/x"', "is not a sysctl", "quotes"),
    # -- virtual routers
    "vrid 0": (VRID, "vrid = 0 #<\n", "vrrp.web.vrid", "0 is outside 1..255", "1..255"),
    "version 2 in fractions": ('interval = "100ms"', 'interval = "100ms" #<\nversion = 2', "vrrp.web.interval", "100ms is not whole seconds between 1s and 255s, and version 2 has no others", "whole seconds"),
    "version 2 for too long": ('interval = "100ms"', 'interval = "256s" #<\nversion = 2', "vrrp.web.interval", "256s is not whole seconds between 1s and 255s", "whole seconds"),
    "version 2, IPv6": ('interval = "100ms"\naddresses = [', 'version = 2 #<\naddresses = ["fe80::10",', "vrrp.web.version", "version 2 is for IPv4 alone", "leave version out"),
    "no version 1": (VRID, VRID + "version = 1 #<\n", "vrrp.web.version", "1 is none of: 2, 3", "write one of: 2, 3"),
    "auth in version 3": (VRID, VRID + f"auth = {AUTH} #<\n", "vrrp.web.auth", "version 3 has no authentication", "version = 2"),
    "auth of another kind": (VRID, VRID + 'auth = { method = "hmac", secret_file = "/s" } #<\n', "vrrp.web.auth.method", "none of: ", "write one of: "),
    "auth without its file": (VRID, VRID + 'auth = { method = "ah" } #<\n', "vrrp.web.auth.secret_file", "secret_file is missing", "add secret_file"),
    "IPv6 router without a link-local": ('  "192.0.2.10",', '  "2001:db8::10", #<\n"192.0.2.10",', "vrrp.web.addresses[0]", "a pure IPv6 router needs a link-local first, and 2001:db8::10 is none", "fe80::100/64"),
    "too many addresses": ('interval = "100ms"\naddresses = [', f"addresses = [ {MANY_VIPS}, #<\n", "vrrp.web.addresses", "256 addresses are advertised, and an advert names 255", "advertise = false"),
    "group without a name": (VRID, VRID + 'group = "The Edge" #<\n', "vrrp.web.group", '"The Edge" is not a name', "a-z"),
    "group pulled apart": (*two_routers('vrid = 52\ngroup = "edge"\naddresses = ["192.0.2.20"]\npriority = 90 #<', 'group = "edge"\n'), "vrrp.mail.priority", "vrrp.mail has priority 90 on lb1 and vrrp.web of the same group has 150", "one priority on a node"),
    "nodes of two versions": ("priority = 100", 'priority = 100\nvrrp.web = { version = 2, interval = "1s" } #<', "nodes.lb2.vrrp.web.version", "version differs from that of lb1", "router's own table"),
    "nodes with two VRIDs": ("priority = 100", "priority = 100\nvrrp.web = { vrid = 52 } #<", "nodes.lb2.vrrp.web.vrid", "vrid differs from that of lb1: the two would not hear each other", "router's own table"),
    "one node with a virtual MAC": ("priority = 100", 'priority = 100\nvrrp.web = { mac = "virtual" } #<', "nodes.lb2.vrrp.web.mac", "mac differs from that of lb1: every takeover would change the MAC", "router's own table"),
    "virtual MAC by unicast": (VRID, VRID + 'unicast = true\nmac = "virtual" #<\n', "vrrp.web.mac", "needs multicast adverts", "leave mac or unicast out"),
    "virtual MAC on a dummy": (VRID, VRID + 'mode = "dummy"\nmac = "virtual" #<\n', "vrrp.web.mac", "nobody does", "leave mac or mode out"),
    "two owners": (PRIORITIES, PRIORITIES.replace("150", "255").replace("100", "255 #<"), "nodes.lb2.priority", "lb1 is the owner (priority 255) of vrrp.web", "give one node 255"),
    "group that equal priorities part": (BOTH, grouped(lb1=200, priority=150, mark=" #<"), "nodes.lb2.priority", "lb1 has it for vrrp.nat and lb2 for vrrp.web of the same group", "give one node the higher priority"),
    "vrid missing": (VRID, "", "vrrp.web.vrid", "vrid is missing", "write vrid"),
    "router without interface": ('interface = "front"\n', "", "vrrp.web.interface", "interface is missing", "role"),
    "interval in milliseconds": ('interval = "100ms"', 'interval = "15ms" #<', "vrrp.web.interval", "centiseconds", "multiple of 10ms"),
    "interval too long": ('interval = "100ms"', 'interval = "41s" #<', "vrrp.web.interval", "is not between", "10ms"),
    "lease in fractions": (VRID, VRID + 'lease = "2500ms" #<\n', "vrrp.web.lease", "not whole seconds", "whole seconds"),
    "after and never": (VRID, VRID + 'failback = { when = "never", after = "5s" } #<\n', "vrrp.web.failback.after", "means nothing", "leave after out"),
    "VIP twice": ('  "192.0.2.10",', '  "192.0.2.10",\n  "192.0.2.10/24", #<', "vrrp.web.addresses[1]", "stands twice", "remove one"),
    "VIP no address": ('  "192.0.2.10",', '  "192.0.2.10",\n  "192.0.2", #<', "vrrp.web.addresses[1]", "is not an address", "192.0.2.10"),
    "VIP with a wrong length": ('"192.0.2.11/24"', '"192.0.2.11/33" #<\n', "vrrp.web.addresses[1]", "/33 is not a length", "10.0.8.1/24"),
    "VIP multicast": ('"192.0.2.11/24"', '"224.0.0.1", "192.0.2.11" #<\n', "vrrp.web.addresses[1]", "cannot be a virtual address", "a host"),
    "VIP on an unknown interface": ('interface = "servers", adv', 'interface = "serves", adv', "vrrp.web.addresses[2].interface", 'no role "serves"', 'did you mean "servers"?'),
    "VIP of a node": ('"192.0.2.11/24"', '"192.0.2.11", "192.0.2.3"', "vrrp.web.addresses", "192.0.2.3 is node lb2's own address", "no node owns"),
    "first VIP not advertised": ('  "192.0.2.10",', '{ address = "192.0.2.10", advertise = false }, #<', "vrrp.web.addresses[0]", "not advertised", "advertised address first"),
    "VRID twice": (*two_routers('vrid = 51 #<\naddresses = ["192.0.2.20"]'), "vrrp.mail.vrid", "vrid 51 is used twice on eth0; the other is at director.toml:22", "its own"),
    "VIP in two routers": (*two_routers('vrid = 52\naddresses = ["192.0.2.10"] #<'), "vrrp.mail.addresses", "192.0.2.10 is held by vrrp.web already; the other is at", "one virtual router"),
    "no addresses": (*two_routers("vrid = 52"), "vrrp.mail.addresses", "addresses is missing", "at least one"),
    "unicast alone": (PAIR[PAIR.index("[nodes.lb2]") : PAIR.index("[vrrp.web]")] + "[vrrp.web]\n", "[vrrp.web]\nunicast = true #<\n", "vrrp.web.unicast", "no other node", "leave unicast out"),
    # -- real servers
    "real server by host name": ('web1 = "10.0.8.11"', 'web1 = "www.example.com" #<', "real_servers.web1", "is not an address", "host names are not looked up"),
    "real server is a VIP": ('web1 = "10.0.8.11"', 'web1 = "192.0.2.11" #<', "real_servers.web1", "is a VIP of vrrp.web", "its own address".replace("its", "own")[:3]),
    "real server is a director": ('web1 = "10.0.8.11"', 'web1 = "10.0.8.3" #<', "real_servers.web1", "is node lb2 itself", "real server's own address"),
    "address of two names": ('web2 = "10.0.8.12"', 'web2 = "10.0.8.11" #<', "real_servers.web2", "is web1 already; the other is at", "one name"),
    "two of one family": ('web2 = "10.0.8.12"', 'web2 = ["10.0.8.12", "10.0.8.13"] #<', "real_servers.web2[1]", "second address of one family", "two names"),
    "empty real server": ('web2 = "10.0.8.12"', "web2 = [] #<", "real_servers.web2", "has no address", "write its address"),
    "named as an address": ('web2 = "10.0.8.12"', 'web2 = "10.0.8.12"\n"10.0.0.9" = "10.0.8.99" #<', 'real_servers."10.0.0.9"', "an address, not a name", "in letters"),
    # -- services
    "no virtual": (VIRTUAL, "", "services.web.virtual", "virtual is missing", "IP:PORT"),
    "virtual without a port": (VIRTUAL, 'virtual = "192.0.2.10" #<', "services.web.virtual", "is not IP:PORT", "192.0.2.10:80"),
    "virtual by host name": (VIRTUAL, 'virtual = "www.example.com:80" #<', "services.web.virtual", "www.example.com", "host names are not looked up"),
    "virtual port 0": (VIRTUAL, 'virtual = "192.0.2.10:0" #<', "services.web.virtual", "port 0 is every port, and the kernel balances that with persistence alone", 'persistence = "5m"'),
    "virtual port beyond": (VIRTUAL, 'virtual = "192.0.2.10:65536" #<', "services.web.virtual", "outside 0..65535", "192.0.2.10:80"),
    "every port, unchecked": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = "192.0.2.10:0" #<\npersistence = "5m"\n{WEB}', "services.web.virtual", "has no port that could be checked", 'checks = "none"'),
    "every port, checked at none": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = "192.0.2.10:0"\npersistence = "5m"\n{WEB}\n{CHECKS} #<', "services.web.checks", "has no port that could be checked", "port ="),
    "every port, wrong persistence": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = "192.0.2.10:0"\npersistence = "ever" #<\n{WEB}\nchecks = "none"', "services.web.persistence", "is not a duration", "one unit"),
    "every port and a real one": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", 'virtual = "192.0.2.10:0"\npersistence = "5m"\nchecks = "none"\nforwarding = "nat"\nreal_servers = ["web1:80"] #<', f"{WEB_KEY}[0]", "port 80 means nothing here: persistent clients keep their port", "leave the port out"),
    # -- services by a mark
    "mark without a family": (VIRTUAL, "fwmark = 20", "services.web.family", "family is missing", '"ipv4" or "ipv6"'),
    "mark of a strange family": (VIRTUAL, 'fwmark = 20\nfamily = "inet" #<', "services.web.family", '"inet" is none of: ipv4, ipv6', "ipv"),
    "mark 0": (VIRTUAL, 'fwmark = 0 #<\nfamily = "ipv4"', "services.web.fwmark", "0 is outside 1..4294967295", "1..4294967295"),
    "mark of ours": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'fwmark = 0x40000000 #<\nfamily = "ipv4"\n{PORT_CHECK}\n{WEB}', "services.web.fwmark", "from 0x40000000 on are the director's own", "1..1073741823"),
    "mark and an address": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'fwmark = 20\nfamily = "ipv4"\n{PORT_CHECK}\n{WEB}\n{VIRTUAL} #<', "services.web.virtual", "virtual means nothing with fwmark", "leave virtual out"),
    "mark and a protocol": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'fwmark = 20\nfamily = "ipv4"\n{PORT_CHECK}\n{WEB}\nprotocol = "udp" #<', "services.web.protocol", "protocol means nothing with fwmark", "leave protocol out"),
    "mark, unchecked": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'fwmark = 20 #<\nfamily = "ipv4"\n{WEB}', "services.web.fwmark", "fwmark/20 has no port that could be checked", 'checks = "none"'),
    "mark twice": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'fwmark = 20\nfamily = "ipv4"\n{PORT_CHECK}\n{WEB}\n[services.two]\nfwmark = 20 #<\nfamily = "ipv4"\n{PORT_CHECK}\n{WEB}', "services.two.fwmark", "fwmark/20 is a virtual service of web already", "keep one"),
    "mark of the other family": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'fwmark = 20\nfamily = "ipv6"\n{PORT_CHECK}\nreal_servers = ["2001:db8:8::1", "web2"] #<', f"{WEB_KEY}[1]", "web2 has no address of the family of fwmark/20 ipv6", "take it out"),
    "mark and a port with dr": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'fwmark = 20\nfamily = "ipv4"\n{PORT_CHECK}\nreal_servers = ["web1:80"] #<', f"{WEB_KEY}[0]", "port 80 means nothing here: with dr packets keep theirs", "leave the port out"),
    "family without a mark": (VIRTUAL, f'{VIRTUAL}\nfamily = "ipv4" #<', "services.web.family", "an address has its own", "leave it out"),
    # -- all addresses of an interface
    "interface unknown": (VIRTUAL, 'virtual = "@frnot:8080" #<', "services.web.virtual", 'has no role "frnot"', 'did you mean "front"?'),
    "interface without a port": (VIRTUAL, 'virtual = "@front" #<', "services.web.virtual", "no port and no range", "@front:8080"),
    "every port of an interface": (VIRTUAL, 'virtual = "@front:0" #<', "services.web.virtual", "port 0 is outside 1..65535", "could not be reached"),
    "ports of an interface": (VIRTUAL, 'virtual = "@front:80-81" #<', "services.web.virtual", "an interface takes one port", "@front:8080"),
    "interface by dr": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = "@front:8080" #<\n{WEB}\n{PORT_CHECK}', "services.web.virtual", "dr sends packets on as they are, and web1 cannot have", 'forwarding = "nat"'),
    "interface twice": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = ["@ha:80", "@ha:80"] #<\nforwarding = "nat"\n{WEB}\n{PORT_CHECK}', "services.web.virtual[1]", "@ha:80 is a virtual service of web already", "keep one"),
    "interface and a VIP of it": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = "@front:443"\nforwarding = "nat"\n{WEB}\n{PORT_CHECK}', "services.api.virtual", "tcp/192.0.2.11:443 is a virtual service of web already", "keep one"),
    "interface and a real port": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = ["@ha:80", "@ha:81"]\nforwarding = "nat"\nreal_servers = ["web1:8080"] #<\n{PORT_CHECK}', f"{WEB_KEY}[0]", "would serve several virtual ports", "each virtual port"),
    "interface, twice in the pool": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = "@ha:80"\nforwarding = "nat"\nreal_servers = ["web1", "web1"] #<\n{PORT_CHECK}', f"{WEB_KEY}[1]", "web1 stands twice", "remove one"),
    "interface, udp unchecked": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = "@ha:80"\nprotocol = "udp" #<\nforwarding = "nat"\n{WEB}', "services.web.protocol", "this is UDP", 'checks = "none"'),
    # -- ranges
    "range backwards": (VIRTUAL, 'virtual = "192.0.2.11-192.0.2.10:80" #<', "services.web.virtual", "192.0.2.11 is above 192.0.2.10", "192.0.2.16/28:80"),
    "range of ports backwards": (VIRTUAL, 'virtual = "192.0.2.10:81-80" #<', "services.web.virtual", "port 81 is above 80", "8000-8100"),
    "range of ports from 0": (VIRTUAL, 'virtual = "192.0.2.10:0-80" #<', "services.web.virtual", "port 0 is outside 1..65535", "8000-8100"),
    "range without a port": (VIRTUAL, 'virtual = "192.0.2.10-192.0.2.11" #<', "services.web.virtual", "is not ADDRESSES:PORTS", "192.0.2.16/28:80"),
    "range of IPv6 without brackets": (VIRTUAL, 'virtual = "2001:db8::/120:80" #<', "services.web.virtual", "is not ADDRESSES:PORTS", "192.0.2.16/28:80"),
    "range of a host with dashes": (VIRTUAL, 'virtual = "www.my-example.com:80" #<', "services.web.virtual", "www.my", "host names are not looked up"),
    "network that begins elsewhere": (VIRTUAL, 'virtual = "192.0.2.9/29:80" #<', "services.web.virtual", "has host bits set", "192.0.2.16/28:80"),
    "range that nobody holds": (VIRTUAL, 'virtual = ["192.0.2.10:80",\n"192.0.2.10-192.0.2.12:81"] #<', "services.web.virtual[1]", "no virtual router holds 192.0.2.12", 'held = "elsewhere"'),
    "wide range that nobody holds": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = "192.0.2.8/30:8000-8100" #<\n{WEB}\n{PORT_CHECK}', "services.web.virtual", "no virtual router holds 192.0.2.8", 'held = "elsewhere"'),
    "range and one of it": (VIRTUAL, 'virtual = ["192.0.2.10:80-90", "192.0.2.10-192.0.2.11:85"] #<', "services.web.virtual[1]", "tcp/192.0.2.10:85 is a virtual service of web already", "keep one"),
    "wide ranges that overlap": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = ["192.0.2.10:8000-8100", "192.0.2.10:8050-8200"] #<\n{WEB}\n{PORT_CHECK}', "services.web.virtual[1]", "192.0.2.10:8050-8200 overlaps with 192.0.2.10:8000-8100: a packet has one mark", "match once"),
    "wide range twice": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = ["192.0.2.10:8000-8100", "192.0.2.10:8000-8100"] #<\n{WEB}\n{PORT_CHECK}', "services.web.virtual[1]", "overlaps with 192.0.2.10:8000-8100", "match once"),
    "wide range over a virtual": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = "192.0.2.11:400-500"\n{WEB}\n{PORT_CHECK}', "services.api.virtual", "tcp/192.0.2.11:443 would get none", "one service's"),
    "every port of many, without persistence": (VIRTUAL, 'held = "elsewhere"\nvirtual = "203.0.113.0/24:0" #<', "services.web.virtual", "port 0 is every port", 'persistence = "5m"'),
    "wide range, unchecked": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = "192.0.2.10:8000-8100" #<\n{WEB}', "services.web.virtual", "192.0.2.10:8000-8100 has no port that could be checked", "port ="),
    "range of udp, unchecked": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = "192.0.2.10:8000-8100"\nprotocol = "udp" #<\n{WEB}', "services.web.protocol", "checked by default is TCP, and this is UDP", "port ="),
    "wide range and a real port": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = "192.0.2.10:8000-8100"\nforwarding = "nat"\nreal_servers = ["web1:80"] #<\n{PORT_CHECK}', f"{WEB_KEY}[0]", "would serve several virtual ports", "each virtual port"),
    "real server in a wide range": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'held = "elsewhere"\nvirtual = "10.0.8.21/32:8000-8100"\n{WEB}\n{PORT_CHECK}', "real_servers.app1", "is a virtual address of services.web", "own address"),
    "one packet of a range of TCP": (f"{VIRTUAL}\n{WEB}\n{CHECKS}", f'virtual = "192.0.2.10:8000-8100"\none_packet = true #<\n{WEB}\n{PORT_CHECK}', "services.web.one_packet", "this is TCP", "leave one_packet out"),
    # -- marks that the director sets
    "mark of ours, moved": (SERVICE, f'[kernel]\nmark_base = 0x100\n[services.web]\nfwmark = 256 #<\nfamily = "ipv4"\n{PORT_CHECK}\n{WEB}', "services.web.fwmark", "from 0x100 on are the director's own", "1..255"),
    "mark_base beyond": (SERVICE, f"[kernel]\nmark_base = 0xff000001 #<\n{SERVICE}", "kernel.mark_base", "is outside 2..4278190080", "2..4278190080"),
    "match without a mark": (VIRTUAL, VIRTUAL + '\nmatch = { address = "192.0.2.10" } #<', "services.web.match", "match says what gets fwmark, and there is none", "write fwmark"),
    "match of nothing": (MARKED, matched("[]"), "services.web.match", "matches nothing", "match = {"),
    "match without an address": (MARKED, matched('{ protocol = "tcp" }'), "services.web.match.address", "address is missing", "add address"),
    "match of a name": (MARKED, matched('{ address = "www.example.com" }'), "services.web.match.address", "does not appear to be", "192.0.2.12"),
    "match backwards": (MARKED, matched('{ address = "192.0.2.11-192.0.2.10" }'), "services.web.match.address", "192.0.2.11 is above 192.0.2.10", "192.0.2.16/28"),
    "match of two families": (MARKED, matched('{ address = "192.0.2.11-2001:db8::1" }'), "services.web.match.address", "are of two families", "192.0.2.16/28"),
    "match of no network": (MARKED, matched('{ address = "192.0.2.11/24" }'), "services.web.match.address", "has host bits set", "192.0.2.16/28"),
    "match of the other family": (MARKED, matched('{ address = "2001:db8::1" }'), "services.web.match.address", "is not of the service's family", "make another"),
    "match that nobody holds": (MARKED, matched('{ address = "192.0.2.10-192.0.2.12", ports = 8 }'), "services.web.match.ports", "no virtual router holds 192.0.2.12", 'held = "elsewhere"'),
    "match of port 0": (MARKED, matched('{ address = "192.0.2.10", ports = "0" }'), "services.web.match.ports", "port 0 is outside 1..65535", "30000-31000"),
    "match of ports beyond": (MARKED, matched('{ address = "192.0.2.10", ports = ["21", "65000-65536"] }'), "services.web.match.ports[1]", "port 65536 is outside", "30000-31000"),
    "match of ports backwards": (MARKED, matched('{ address = "192.0.2.10", ports = "22-21" }'), "services.web.match.ports", "port 22 is above 21", "30000-31000"),
    "match of words": (MARKED, matched('{ address = "192.0.2.10", ports = "ftp" }'), "services.web.match.ports", "no port and no range", "30000-31000"),
    "match of no ports": (MARKED, matched('{ address = "192.0.2.10", ports = [] }'), "services.web.match.ports", "there are no ports", "leave ports out"),
    "match that overlaps": (MARKED, matched('[{ address = "192.0.2.10", ports = "20-30" }, { address = "192.0.2.10-192.0.2.11", ports = ["10", "25"] }]'), "services.web.match[1].ports[1]", "192.0.2.10-192.0.2.11:25 overlaps with 192.0.2.10:20-30: a packet has one mark", "match once"),
    "match of another service": (MARKED, matched('{ address = "192.0.2.10", ports = "20-30" }').replace(" #<", "") + f'\n[services.two]\nfwmark = 21\nfamily = "ipv4"\n{PORT_CHECK}\n{WEB}\nmatch = {{ address = "192.0.2.10", ports = [22, 40] }} #<', "services.two.match.ports[0]", "192.0.2.10:22 overlaps with 192.0.2.10:20-30: a packet has one mark; the other is at", "match once"),
    "virtual below a match": (MARKED, matched('{ address = "192.0.2.11", ports = "400-500" }').replace(" #<", ""), "services.api.virtual", "tcp/192.0.2.11:443 would get none of the packets that 192.0.2.11:400-500 marks; the other is at", "one service's"),
    "virtual below a network": (MARKED, matched('{ address = "192.0.2.10/31" }').replace(" #<", ""), "services.api.virtual", "that 192.0.2.10-192.0.2.11:0 marks", "one service's"),
    "real server in a match": (MARKED, matched('{ address = "10.0.8.10-10.0.8.11" }', 'held = "elsewhere"\n').replace(" #<", ""), "real_servers.web1", "10.0.8.11 is a virtual address of services.web", "own address"),
    "match of udp, unchecked": (MARKED, matched('{ address = "192.0.2.10", protocol = "udp", ports = 53 }').replace(PORT_CHECK, ""), "services.web.match", "checked by default is TCP, and this is UDP", 'checks = "none"'),
    "match of both, unchecked": (MARKED, matched('[{ address = "192.0.2.10", protocol = "udp", ports = 53 }, { address = "192.0.2.10", ports = 53 }]').replace(PORT_CHECK, ""), "services.web.match", "this is several", "port ="),
    "match of ports, unchecked": (MARKED, matched('{ address = "192.0.2.10", ports = ["21", "22"] }').replace(PORT_CHECK, "").replace(" #<", "").replace("fwmark = 20", "fwmark = 20 #<"), "services.web.fwmark", "fwmark/20 has no port that could be checked", 'checks = "none"'),
    "match and one packet": (MARKED, matched('{ address = "192.0.2.10", ports = 53 }').replace(" #<", "") + "\none_packet = true #<", "services.web.one_packet", "this is TCP", "leave one_packet out"),
    "match and a port with dr": (MARKED, matched('{ address = "192.0.2.10", ports = 80 }').replace(" #<", "").replace(WEB, 'real_servers = ["web1:81"] #<'), f"{WEB_KEY}[0]", "port 81 differs from the virtual port, with dr", "leave the port out"),
    "match of ports to one": (MARKED, matched('{ address = "192.0.2.10", ports = "80-81" }', 'forwarding = "nat"\n').replace(" #<", "").replace(WEB, 'real_servers = ["web1:80"] #<'), f"{WEB_KEY}[0]", "would serve several virtual ports", "leave the port out"),
    "match, persistent, to a port": (MARKED, matched('{ address = "192.0.2.10", ports = 80 }', 'forwarding = "nat"\npersistence = "1m"\n').replace(" #<", "").replace(WEB, 'real_servers = ["web1:81"] #<'), f"{WEB_KEY}[0]", "persistent clients keep their port", "leave the port out"),
    # -- tunnels
    "gue without a port": (CHECKS, f'{CHECKS}\nforwarding = "tun"\ntunnel = {{ type = "gue" }} #<', "services.web.tunnel", "gue needs the port", 'tunnel = { type = "gue", port = … }'),
    "gue with port 0": (CHECKS, f'{CHECKS}\nforwarding = "tun"\ntunnel = {{ type = "gue", port = 0 }} #<', "services.web.tunnel.port", "0 is outside 1..65535", "1..65535"),
    "port of gre": (CHECKS, f'{CHECKS}\nforwarding = "tun"\ntunnel = {{ type = "gre", port = 80 }} #<', "services.web.tunnel.port", "gre has no port", 'type = "gue"'),
    "checksum of ipip": (CHECKS, f'{CHECKS}\nforwarding = "tun"\ntunnel = {{ checksum = true }} #<', "services.web.tunnel.checksum", "ipip has no checksum", '"gue" or "gre"'),
    "tunnel unknown": (CHECKS, f'{CHECKS}\nforwarding = "tun"\ntunnel = {{ type = "vxlan" }} #<', "services.web.tunnel.type", '"vxlan" is none of', "ipip"),
    "the other family with sync": (WEB, 'forwarding = "tun"\nreal_servers = ["web1", "2001:db8::5"] #<', f"{WEB_KEY}[1]", "is of the other family than tcp/192.0.2.10:80, and the kernel has that or [sync]", "leave [sync] out"),
    # -- single sysctls
    "backup_only with sync": ("[sync]\n", '[kernel.sysctl]\n"net.ipv4.vs.backup_only" = 1 #<\n[sync]\n', 'kernel.sysctl."net.ipv4.vs.backup_only"', "backup_only = 1 then switches IPVS off", "leave it out"),
    "virtual that nobody holds": (VIRTUAL, 'virtual = ["192.0.2.10:80",\n"192.0.2.99:80"] #<', "services.web.virtual[1]", "no virtual router holds 192.0.2.99", 'held = "elsewhere"'),
    "virtual twice": ('virtual = "192.0.2.11:443"', 'virtual = "192.0.2.10:80" #<', "services.api.virtual", "tcp/192.0.2.10:80 is a virtual service of web already; the other is at director.toml:46", "keep one"),
    "virtual twice in one": (VIRTUAL, 'virtual = ["192.0.2.10:80", "192.0.2.10:80"] #<', "services.web.virtual[1]", "of web already", "keep one"),
    "no real servers": (WEB, "real_servers = [] #<", WEB_KEY, "no real servers", "at least one"),
    "unknown real server": (WEB, 'real_servers = ["wbe1"] #<', f"{WEB_KEY}[0]", 'no real server is named "wbe1"', 'did you mean "web1"?'),
    "host name in a pool": (WEB, 'real_servers = ["zzz.example.com:80"] #<', f"{WEB_KEY}[0]", 'no real server is named "zzz.example.com"', "no names are looked up"),
    "broken address in a pool": (WEB, 'real_servers = ["10.0.8"] #<', f"{WEB_KEY}[0]", 'no real server is named "10.0.8"', "192.0.2.10"),
    "no real server at all": (WEB, 'real_servers = ["we b"] #<', f"{WEB_KEY}[0]", "is not a real server", '"[IP6]:PORT"'),
    "port beyond": (WEB, 'real_servers = ["web1:70000"] #<', f"{WEB_KEY}[0]", "is not a real server", "name:port"),
    "VIP in a pool": (WEB, 'real_servers = ["192.0.2.10"] #<', f"{WEB_KEY}[0]", "is a VIP of vrrp.web", "own address"),
    "director in a pool": (WEB, 'real_servers = [{ server = "192.0.2.2" }] #<', f"{WEB_KEY}[0].server", "is node lb1 itself", "own address"),
    "loopback in a pool": (WEB, 'real_servers = [{ server = "127.0.0.2" }] #<', f"{WEB_KEY}[0].server", "is the director itself", "own address"),
    "real server twice": (WEB, 'real_servers = ["web1", "web1"] #<', f"{WEB_KEY}[1]", "web1 stands twice", "remove one"),
    "real server twice by its address": (WEB, 'real_servers = ["web1",\n"10.0.8.11"] #<', f"{WEB_KEY}[1]", "stands twice", "remove one"),
    "two ports": (WEB, 'real_servers = [{ server = "web1:80", port = 81 }] #<', f"{WEB_KEY}[0].port", "name two ports", "one of the two"),
    "port differs with dr": (WEB, 'real_servers = ["web1:8080"] #<', f"{WEB_KEY}[0]", "differs from the virtual port, with dr", 'forwarding = "nat"'),
    "port differs with tun": (WEB, 'forwarding = "tun"\nreal_servers = ["web1:8080"] #<', f"{WEB_KEY}[0]", "with tun", "leave the port out"),
    "port with several virtual ports": (f"{VIRTUAL}\n{WEB}", 'virtual = ["192.0.2.10:80", "192.0.2.10:81"]\nforwarding = "nat"\nreal_servers = ["web1:8080"] #<', f"{WEB_KEY}[0]", "several virtual ports", "each virtual port"),
    "nobody allowed": (WEB, "allow = [] #<\n" + WEB, "services.web.allow", "nobody would be allowed", "leave allow out"),
    "a host name allowed": (WEB, 'allow = ["10.0.0.0/8",\n"office.example.com"] #<\n' + WEB, "services.web.allow[1]", "is not an address", "not looked up"),
    "bits behind the length": (WEB, 'allow = "10.0.0.1/8" #<\n' + WEB, "services.web.allow", "10.0.0.1/8 has bits behind its length", 'write "10.0.0.0/8", or "10.0.0.1"'),
    "length beyond": (WEB, 'allow = "10.0.0.0/33" #<\n' + WEB, "services.web.allow", "not a length between 0 and 32", "write a length"),
    "nobody of a family allowed": (WEB, 'allow = ["2001:db8::/32"] #<\n' + WEB, "services.web.allow", "no client of tcp/192.0.2.10:80 would be allowed", '"0.0.0.0/0" is everybody'),
    "masquerade with dr": (WEB, 'masquerade = "always" #<\n' + WEB, "services.web.masquerade", "without a NAT real server: with dr and tun they answer", 'forwarding = "nat"'),
    "masquerade of one packet": (API, API + 'masquerade = "always" #<\nprotocol = "udp"\none_packet = true\n', "services.api.masquerade", "one_packet has none", "leave one of the two out"),
    "masquerade by a mark": ('virtual = "192.0.2.11:443"\n', 'fwmark = 5\nfamily = "ipv4"\nmasquerade = "hairpin" #<\n', "services.api.masquerade", "a mark has none", 'virtual = "IP:PORT"'),
    "masquerade of nobody": (API, API + "masquerade = [] #<\n", "services.api.masquerade", "no network is named", 'or "never"'),
    "masquerade, a word in a list": (API, API + 'masquerade = ["10.0.0.0/8", "hairpin"] #<\n', "services.api.masquerade", '"hairpin" stands beside networks', 'masquerade = "hairpin"'),
    "masquerade, mistyped": (API, API + 'masquerade = "allways" #<\n', "services.api.masquerade", '"allways" is none of: never, always, hairpin', 'did you mean "always"?'),
    "masquerade as what nobody holds": (API, API + 'masquerade = "always"\nmasquerade_as = "192.0.2.99" #<\n', "services.api.masquerade_as", "192.0.2.99 does not move together with 192.0.2.11", "same virtual router"),
    "masquerade as the node": (API, API + 'masquerade = "always"\nmasquerade_as = "10.0.8.2" #<\n', "services.api.masquerade_as", "no connection would outlive a failover", "it is the VIP then"),
    "masquerade as two": (API, API + 'masquerade = "always"\nmasquerade_as = ["192.0.2.10",\n"10.0.8.1"] #<\n', "services.api.masquerade_as[1]", "a second address of one family", "one of each family"),
    "masquerade as the other family": (API, API + 'masquerade = "always"\nmasquerade_as = "2001:db8::1" #<\n', "services.api.masquerade_as", "a family that no virtual address here has", "leave it out"),
    "masquerade as, and nobody": (API, API + 'masquerade = "never"\nmasquerade_as = "192.0.2.10" #<\n', "services.api.masquerade_as", "means nothing where nobody is masqueraded", 'masquerade = "always"'),
    "masquerade without conntrack": ("[services.api]\n", '[kernel.sysctl]\n"net.ipv4.vs.conntrack" = 0 #<\n[services.api]\nmasquerade = "always"\n', 'kernel.sysctl."net.ipv4.vs.conntrack"', "api wants it", "masquerade of api"),
    "thresholds crossed": (WEB, 'real_servers = [{ server = "web1", upper_threshold = 5, lower_threshold = 9 }] #<', f"{WEB_KEY}[0].lower_threshold", "9 is above upper_threshold 5", "not above"),
    "quorum": (WEB, "quorum = 3 #<\n" + WEB, "services.web.quorum", "quorum 3 is above the 2 real servers", "write 1..2"),
    "hysteresis that is never met": (WEB, "hysteresis = 1 #<\nquorum = 2\n" + WEB, "services.web.hysteresis", "could not be met, or lost", "leave it out"),
    "hysteresis that is never lost": (WEB, "hysteresis = 1 #<\n" + WEB, "services.web.hysteresis", "could not be met, or lost", "leave it out"),
    "slow start of a hash": (WEB, 'slow_start = "30s" #<\nscheduler = "mh"\n' + WEB, "services.web.slow_start", "would have mh move clients", "another scheduler"),
    "an agent of a hash": ('checks = ["health"]', 'scheduler = "sh" #<\nchecks = [{ kind = "agent", port = 9090 }]', "services.web.scheduler", "has sh move clients", "another scheduler"),
    "sorry and panic": (WEB, 'panic_below = "30%" #<\nsorry_server = "app1"\n' + WEB, "services.web.panic_below", "either the sorry server", "leave this or sorry_server out"),
    "panic beyond all": (WEB, 'panic_below = "130%" #<\n' + WEB, "services.web.panic_below", "is not a share", '"30%"'),
    "no share": (WEB, 'panic_below = "few" #<\n' + WEB, "services.web.panic_below", "is not a share", '"30%"'),
    "a sorry server at another port": (WEB, 'sorry_server = { server = "app1", port = 8081 } #<\n' + WEB, "services.web.sorry_server", "differs from the virtual port, with dr", "leave the port out"),
    "a sorry server that serves anyway": (WEB, 'sorry_server = "web1" #<\n' + WEB, "services.web.sorry_server", "stands twice in the pool", "remove one"),
    "a sorry server without a name": (WEB, 'sorry_server = "web9" #<\n' + WEB, "services.web.sorry_server", "no real server is named", 'did you mean'),
    "backups alone": (WEB, 'real_servers = [{ server = "web1", backup = true }] #<', "services.web.real_servers", "every real server is a backup", "take backup from one"),
    "quorum 0": (WEB, "quorum = 0 #<\n" + WEB, "services.web.quorum", "outside 1..", "1..65535"),
    "member without the family": (WEB, 'real_servers = ["web1", "2001:db8::5"] #<', f"{WEB_KEY}[1]", "no address of the family", "take it out"),
    "virtual without a family": (VIRTUAL, 'held = "elsewhere"\nvirtual = ["192.0.2.10:80", "[2001:db8::1]:80"] #<', "services.web.virtual[1]", "no real server has an address of the family", "take this virtual"),
    "flag of another scheduler": (WEB, 'scheduler = "sh"\nscheduler_flags = ["sh-port", "mh-port"] #<\n' + WEB, "services.web.scheduler_flags[1]", "mh-port does not fit scheduler sh", 'scheduler = "mh"'),
    "tunnel without tun": (WEB, 'tunnel = { type = "ipip" } #<\n' + WEB, "services.web.tunnel", "means nothing with forwarding dr", "leave tunnel out"),
    "persistence in fractions": (WEB, 'persistence = "1500ms" #<\n' + WEB, "services.web.persistence", "not whole seconds", "whole seconds"),
    "netmask": (WEB, 'persistence = { timeout = "5m", netmask = 33 } #<\n' + WEB, "services.web.persistence.netmask", "33 is outside 1..32", "1..32"),
    "held by whom": (WEB, 'held = "us" #<\n' + WEB, "services.web.held", "is none of: elsewhere", "write one of: elsewhere"),
    # -- protocols, and what is done with one that fails
    "protocol unknown": (VIRTUAL, VIRTUAL + '\nprotocol = "dccp" #<', "services.web.protocol", '"dccp" is none of: sctp, tcp, udp', "write one of"),
    "udp without a word about checks": (CHECKS, 'protocol = "udp" #<', "services.web.protocol", "checked by default is TCP, and this is UDP", 'checks = "none"'),
    "sctp, one without a check": (f"{WEB}\n{CHECKS}", 'protocol = "sctp"\nreal_servers = ["web1", { server = "web2", check = { kind = "tcp", port = 9 } }]', "services.web.protocol", "this is SCTP", "port ="),
    "one packet of TCP": (CHECKS, CHECKS + "\none_packet = true #<", "services.web.one_packet", "one_packet is for UDP, and this is TCP", 'protocol = "udp"'),
    "one packet of SCTP": (CHECKS, CHECKS + '\nprotocol = "sctp"\none_packet = true #<', "services.web.one_packet", "this is SCTP", "leave one_packet out"),
    "sip of TCP": (CHECKS, CHECKS + '\npersistence = { timeout = "1m", engine = "sip" } #<', "services.web.persistence.engine", "TCP would be dropped", 'protocol = "udp"'),
    "engine unknown": (CHECKS, CHECKS + '\npersistence = { timeout = "1m", engine = "spi" } #<', "services.web.persistence.engine", '"spi" is none of: sip', 'did you mean "sip"?'),
    "on_fail unknown": (CHECKS, CHECKS + '\non_fail = "delete" #<', "services.web.on_fail", '"delete" is none of', "auto, quiesce, remove"),
    "cut_after what": (CHECKS, CHECKS + '\ncut_after = "of" #<', "services.web.cut_after", '"of" is not a duration', "one unit"),
    "cut_after a number": (CHECKS, CHECKS + "\ncut_after = 30 #<", "services.web.cut_after", "bare number", 'write "30s"'),
    "cut at once and later": (CHECKS, CHECKS + '\non_fail = "remove"\ncut_after = "30s" #<', "services.web.cut_after", "means nothing with on_fail", "one of the two"),
    "a tunnel's end removed": (CHECKS, CHECKS + '\nforwarding = "tun"\non_fail = "remove" #<', "services.web.on_fail", "the peer's connections may still need it", 'on_fail = "quiesce"'),
    "a tunnel's end cut by default": ("[defaults.check]", '[defaults]\nforwarding = "tun"\ncut_after = "1m" #<\n[defaults.check]', "defaults.cut_after", "removes a tunnel's destination", 'cut_after = "off" for web'),
    # -- checks
    "check and checks": ('checks = ["health"]', 'checks = ["health"]\ncheck = "health" #<', "services.web.check", "both given", "put all of them into checks"),
    "unknown check": ('checks = ["health"]', 'checks = ["healht"] #<', "services.web.checks[0]", 'no check is named "healht"', 'did you mean "health"?'),
    "none beside another": ('checks = ["health"]', 'checks = ["health", "none"] #<', "services.web.checks", "beside other checks", "alone"),
    "check named none": ("[checks.health]", '[checks.none] #<\nkind = "tcp"\n[checks.health]', "checks.none", "cannot name a check", "rename"),
    "kind missing": (HEALTH, "", "checks.health.kind", "kind is missing", "tcp, http"),
    "kind unknown": (HEALTH, 'kind = "htpt" #<\n', "checks.health.kind", '"htpt" is none of: tcp, http', 'did you mean "http"?'),
    "kind of the wrong type": (HEALTH, "kind = 5 #<\n", "checks.health.kind", "5 is none of", "tcp, http"),
    "path of a tcp check": ('check = { kind = "tcp" }', 'check = { kind = "tcp", path = "/" } #<', "services.api.check.path", "is no key here", "known here"),
    "relative path": ('path = "/healthz"', 'path = "healthz" #<', "checks.health.path", "is not a path", "from the root"),
    "path that splits the request": ('path = "/healthz"', 'path = "/a\\r\\nX: y" #<', "checks.health.path", "is not a path", "without spaces"),
    "host that splits the request": ('host = "www.example.com"', 'host = "a\\r\\nb" #<', "checks.health.host", "Host header", "without spaces"),
    "status": ('status = ["200-299"]', 'status = ["200-299",\n"299-200"] #<', "checks.health.status[1]", "not an HTTP status", "200-299"),
    "status number": ('status = ["200-299"]', "status = 600 #<", "checks.health.status", "600 is outside 100..599", "100..599"),
    "check's address": (HEALTH, HEALTH + 'address = "monitor" #<\n', "checks.health.address", "is not an address", "not looked up"),
    "timeout above interval": (HEALTH, HEALTH + 'timeout = "3s" #<\n', "checks.health.timeout", "timeout 3s is above interval 2s", "not above the interval"),
    "interval below timeout": (HEALTH, HEALTH + 'interval = "500ms" #<\n', "checks.health.interval", "above interval 0.5s", "not above the interval"),
    "defaults too slow": ('timeout = "1s"', 'timeout = "10s" #<', "defaults.check.timeout", "above interval", "not above the interval"),
    "no pace": ('interval = "2s"', 'interval = "0s" #<', "defaults.check.interval", "is not between", "10ms"),
    "fall 0": (HEALTH, HEALTH + "fall = 0 #<\n", "checks.health.fall", "0 is outside 1..1000", "1..1000"),
}  # fmt: skip


def faults_of(text: str, *, node: str | None = "lb1", host: str = "") -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as caught:
        check_text(text, node=node, host=host)
    assert caught.value.status is Exit.CONFIG
    return caught.value.faults


@pytest.mark.parametrize(("old", "new", "key", "fault", "mend"), WRONG.values(), ids=WRONG)
def test_a_wrong_file(old: str, new: str, key: str, fault: str, mend: str) -> None:
    """One thing is wrong: one fault, at its line and key, with its mend, and no echoes of it."""
    assert PAIR.count(old) == 1 or old in ('interface = "front"\n', "format = 1")
    text = PAIR.replace(old, new, 1)

    faults = faults_of(text)

    assert [found.key for found in faults] == [key]
    assert fault in faults[0].fault
    assert mend in faults[0].mend
    assert faults[0].file == "director.toml"
    if MARK in text:
        assert faults[0].line == text[: text.index(MARK)].count("\n") + 1
    else:
        assert faults[0].line > 0


@pytest.mark.parametrize(("lb1", "priority"), [(2, 150), (200, 149)])
def test_a_group_that_equal_priorities_do_not_part(lb1: int, priority: int) -> None:
    """One node has the higher address everywhere; or addresses decide nothing."""
    text = PAIR.replace(BOTH, grouped(lb1=lb1, priority=priority))

    assert len(check_text(text, node="lb1").config.routers) == 2


def test_all_faults_are_told_at_once() -> None:
    """A file with faults in five tables, of shape and of sense, tells all of them by line."""
    text = (
        PAIR.replace("priority = 150", "priority = 300")
        .replace("vrid = 51", "vrid = 0")
        .replace('web1 = "10.0.8.11"', 'web1 = "x.example"')
        .replace('path = "/healthz"', 'paht = "/"')
        .replace('checks = ["health"]', 'checks = ["helth"]\nquorum = 9')
    )

    faults = faults_of(text, node="lb3")

    assert [(found.key, found.line) for found in faults] == [
        ("nodes", 8),
        ("nodes.lb1.priority", 10),
        ("vrrp.web.vrid", 22),
        ("real_servers.web1", 31),
        ("checks.health.paht", 41),
        ("services.web.checks[0]", 48),
        ("services.web.quorum", 49),
    ]


def test_suggestions_have_a_limit() -> None:
    """Comparing a thousand wrong words with all names would take minutes; the first get a hint."""
    names = ", ".join('"wbe1"' for _ in range(1000))

    faults = faults_of(PAIR.replace(WEB, f"real_servers = [{names}]"))

    assert len(faults) == 1000
    assert faults[0].mend == 'did you mean "web1"?'
    assert "add wbe1 to [real_servers]" in faults[-1].mend


NODES = {
    "by --node": ("lb2", "lb1", "lb2"),
    "by host name": (None, "lb1", "lb1"),
    "by short host name": (None, "lb2.example.com", "lb2"),
}


@pytest.mark.parametrize(("node", "host", "want"), NODES.values(), ids=NODES)
def test_which_node(node: str | None, host: str, want: str) -> None:
    """`node`, else the host name, else its first label."""
    assert check_text(PAIR, node=node, host=host).config.node == want


@pytest.mark.parametrize(("node", "host"), [("lb3", "lb1"), (None, "elsewhere"), (None, "")])
def test_no_such_node(node: str | None, host: str) -> None:
    """Otherwise it refuses and lists the nodes there are; a wrong `node` is not mended by host."""
    (fault,) = faults_of(PAIR, node=node, host=host)

    assert fault.key == "nodes"
    assert "lb1, lb2" in fault.mend


BROKEN = {
    "syntax": (b"format = 1\na = [\n", 3, "is not TOML"),
    "key twice": (b"format = 1\na = 1\na = 2\n", 3, "is not TOML"),
    "not UTF-8": (b"format = 1\n# \xff\n", 2, "is not UTF-8"),
    "too deep": (b"format = 1\na = " + b"[" * 5000, 0, "too deeply"),
    "endless number": (b"format = 1\na = " + b"9" * 5000, 0, "is not TOML"),
}


@pytest.mark.parametrize(("data", "line", "fault"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_toml(tmp_path: Path, data: bytes, line: int, fault: str) -> None:
    """The parser's own refusals are faults with a line where it knows one."""
    path = tmp_path / "director.toml"
    path.write_bytes(data)

    with pytest.raises(ConfigError) as caught:
        load(path, node="lb1", host="")

    (found,) = caught.value.faults
    assert found.line == line
    assert found.file == str(path)
    assert fault in found.fault
    assert found.mend


def refusal(path: Path) -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as caught:
        load(path, node="lb1", host="")
    return caught.value.faults


def test_a_missing_or_unreadable_or_huge_file(tmp_path: Path) -> None:
    """What is not there, is a folder, or is above 64 MiB is refused before it is parsed."""
    huge = tmp_path / "huge.toml"
    with huge.open("wb") as file:
        file.truncate(64 * 1024 * 1024 + 1)

    assert "no such file" in refusal(tmp_path / "none.toml")[0].fault
    assert "cannot be read" in refusal(tmp_path)[0].fault
    assert "above 64 MiB" in refusal(huge)[0].fault


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody may ever write to it."""
    os.mkfifo(tmp_path / "pipe")

    assert "is a pipe" in refusal(tmp_path / "pipe")[0].fault


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The pair with `include`, and a folder beside it."""
    (tmp_path / "services.d").mkdir()
    text = PAIR.replace("format = 1", 'format = 1\ninclude = ["services.d/*.toml"]')
    (tmp_path / "director.toml").write_text(text)
    return iter((tmp_path,))


MORE = '[services.more]\nvirtual = "192.0.2.10:81"\nreal_servers = ["more1"]\ncheck = "ping"\n'
REST = '[real_servers]\nmore1 = "10.0.8.31"\n[checks.ping]\nkind = "tcp"\n'


def test_includes_are_one_document(folder: Iterator[Path]) -> None:
    """Files refer to each other whatever their order; the digest is over all, in order."""
    (path,) = folder
    (path / "services.d/a.toml").write_text(MORE)
    (path / "services.d/b.toml").write_text(REST)

    config = load(path / "director.toml", node="lb1", host="")

    assert [service.name for service in config.services] == ["web", "api", "more"]
    main = (path / "director.toml").read_text()
    assert config.digest == hashlib.sha256((main + MORE + REST).encode()).hexdigest()


def test_a_file_that_two_patterns_fit_is_read_once(folder: Iterator[Path]) -> None:
    """Else all its names would be there twice."""
    (path,) = folder
    (path / "services.d/a.toml").write_text(MORE + REST)
    main = path / "director.toml"
    main.write_text(main.read_text().replace("include = [", 'include = ["services.d/a.*", '))

    assert len(load(main, node="lb1", host="").services) == 3


def test_a_fault_in_an_include_names_that_file(folder: Iterator[Path]) -> None:
    """File and line are those of the included text; a broken one does not hide the others."""
    (path,) = folder
    (path / "services.d/a.toml").write_text(MORE.replace("check", "# one\nchekc"))
    (path / "services.d/b.toml").write_text(REST + "[kernel]\n")
    (path / "services.d/c.toml").write_text("=")

    faults = refusal(path / "director.toml")

    told = [(Path(found.file).name, found.line, found.key) for found in faults]
    assert told == [
        ("c.toml", 1, ""),
        ("a.toml", 5, "services.more.chekc"),
        ("b.toml", 5, "kernel"),
    ]


def test_a_name_in_two_files(folder: Iterator[Path]) -> None:
    """Both places are told."""
    (path,) = folder
    (path / "services.d/a.toml").write_text('\n[checks.health]\nkind = "tcp"\n')

    (fault,) = refusal(path / "director.toml")

    assert Path(fault.file).name == "a.toml"
    assert fault.line == 2
    assert fault.fault.endswith(f"the other is at {path}/director.toml:40")


INCLUDES = {
    "nothing": ("gone.d/*.toml", "matches no file"),
    "itself": ("*.toml", "includes this file itself"),
    "elsewhere": ("/etc/*.toml", "is not beside the file"),
    "above": ("../*.toml", "is not beside the file"),
    "empty": ("", "is not beside the file"),
    "a bad pattern": ("a**b/*.toml", "pattern"),
    "a zero byte": ("a\\u0000b/x.toml", "matches no file"),
}


@pytest.mark.parametrize(("pattern", "fault"), INCLUDES.values(), ids=INCLUDES)
def test_a_wrong_include(tmp_path: Path, pattern: str, fault: str) -> None:
    """A pattern that fits nothing, or this file, is told at its line."""
    path = tmp_path / "director.toml"
    path.write_text(PAIR.replace("format = 1", f'format = 1\ninclude = ["{pattern}"]'))

    (found,) = refusal(path)

    assert (found.line, found.key) == (2, "include[0]")
    assert fault in found.fault


def test_secrets_that_others_can_read(tmp_path: Path) -> None:
    """Missing or open secrets are told, beside the fault that their tables are not built yet."""
    key, path = tmp_path / "link.key", tmp_path / "director.toml"
    key.write_text("secret")
    key.chmod(0o644)
    path.write_text(f'{PAIR}\n[link]\nkey_file = "{key}"\n[api]\ntoken_file = "/nonexistent/x"\n')

    faults = {found.key: found for found in refusal(path)}

    assert set(faults) == {"link", "link.key_file", "api", "api.token_file"}
    assert "can be read by others (mode 0644)" in faults["link.key_file"].fault
    assert faults["link.key_file"].mend == f"chmod 0640 {key}"
    assert "No such file" in faults["api.token_file"].fault

    key.chmod(0o640)
    path.write_text(f'{PAIR}\n[link]\nkey_file = "{key}"\n')
    assert [found.key for found in refusal(path)] == ["link"]


def test_a_secret_of_version_2_that_others_can_read(tmp_path: Path) -> None:
    """At the router's key and at a node's, each told; one that is closed to others is taken."""
    secret, path = tmp_path / "vrrp.secret", tmp_path / "director.toml"
    secret.write_text("secret")
    secret.chmod(0o644)
    auth = f'auth = {{ method = "pass", secret_file = "{secret}" }}'
    own = 'vrrp.web = { auth = { method = "pass", secret_file = "relative" } }'
    edits = (
        ('interval = "100ms"', f"version = 2\n{auth}"),
        ("priority = 100", f"priority = 100\n{own}"),
    )
    path.write_text(edited(*edits))

    faults = {found.key: found for found in refusal(path)}

    assert "can be read by others (mode 0644)" in faults["vrrp.web.auth.secret_file"].fault
    assert faults["vrrp.web.auth.secret_file"].mend == f"chmod 0640 {secret}"
    assert "from the root" in faults["nodes.lb2.vrrp.web.auth.secret_file"].mend

    secret.chmod(0o640)
    path.write_text(edited(edits[0]))
    auth_of = load(path, node="lb1", host="").routers[0].auth
    assert auth_of == Auth("pass", str(secret))


def edited(*edits: tuple[str, str]) -> str:
    text = PAIR
    for old, new in edits:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def test_both_nodes_need_an_address_for_unicast_over_ipv6() -> None:
    """Told of each, with the way out for a pair that has IPv4 addresses there."""
    text = edited(('interval = "100ms"\naddresses = [', 'unicast = true\naddresses = ["fe80::10",'))

    faults = faults_of(text)

    assert [found.key for found in faults if "addresses" in found.key] == [
        "nodes.lb1.addresses.front",
        "nodes.lb2.addresses.front",
    ]
    assert "sends IPv6 adverts, and 192.0.2.2 is none" in faults[0].fault
    assert "a role of its own, for the same device" in faults[0].mend


@pytest.mark.parametrize(
    ("group", "warnings"), [("", 1), ('group = "edge"\n', 0)], ids=["apart", "together"]
)
def test_a_gateway_that_moves_by_itself_is_a_warning(group: str, warnings: int) -> None:
    """Answers would come to a director that does not have the VIP."""
    gateway = '{ address = "10.0.8.1/24", interface = "servers", advertise = false }'
    router = f'interface = "front"\n{group}'
    text = PAIR.replace(f"  {gateway},\n", "").replace(VRID, f"{VRID}{group}")
    text += f'[vrrp.inner]\n{router}vrid = 52\naddresses = ["192.0.2.20", {gateway}]\n'

    found = check_text(text, node="lb1").warnings

    assert [warning.key for warning in found] == ["services.api.forwarding"] * warnings
    assert all("none moves together with 192.0.2.11" in warning.fault for warning in found)


def test_allowed_clients_of_a_family_without_addresses_are_a_warning() -> None:
    """They cannot come at all, and the others are told apart from them."""
    text = PAIR.replace(WEB, f'allow = ["10.0.0.0/8", "2001:db8::/32"]\n{WEB}')

    (warning,) = check_text(text, node="lb1").warnings

    assert warning.key == "services.web.allow[1]"
    assert "no virtual address here has" in warning.fault


def test_nat_without_a_gateway_is_a_warning() -> None:
    """The file is taken, and the warning has line, key and mend."""
    text = PAIR.replace(
        '{ address = "10.0.8.1/24", interface = "servers", advertise = false },', ""
    )

    (warning,) = check_text(text, node="lb1").warnings

    assert warning.key == "services.api.forwarding"
    assert text.splitlines()[warning.line - 1] == 'forwarding = "nat"'
    assert "advertise = false" in warning.mend


SUSPICIONS = {
    # what is taken, and probably not meant: (edits, key, warning, mend)
    "persistence without a refresh": (
        [(SYNC_ID, SYNC_ID + 'refresh = "0s"\n'), (CHECKS, 'persistence = "5m"')],
        *("services.web.persistence", "each packet of a persistent client", 'refresh = "10s"'),
    ),
    "sh with heavy weights": (
        [(CHECKS, 'scheduler = "sh"\nweight = 250')],
        *("services.web.real_servers", "sh has 256 slots, and the weights are 300", "weight = 1"),
    ),
    "weights that nobody reads": (
        [(CHECKS, 'scheduler = "rr"')],
        *("services.web.real_servers", "rr knows no weights", 'scheduler = "wrr"'),
    ),
    "sip of a mark": (
        [
            (VIRTUAL, 'fwmark = 20\nfamily = "ipv4"'),
            (CHECKS, f'{PORT_CHECK}\npersistence = {{ timeout = "1m", engine = "sip" }}'),
        ],
        *("services.web.persistence.engine", "all else that has the mark is dropped", "UDP alone"),
    ),
    "stray packets anywhere": (
        [("[sync]\n", "[kernel.sysctl]\n'net.ipv4.vs.sloppy_tcp' = 1\n[sync]\n")],
        'kernel.sysctl."net.ipv4.vs.sloppy_tcp"',
        *("goes to any real server, with wlc", "mh or sh everywhere"),
    ),
    "removed, and hanging": (
        [
            ("[sync]\n", "[kernel.sysctl]\n'net/ipv4/vs/expire_nodest_conn' = 0\n[sync]\n"),
            (CHECKS, f'{CHECKS}\ncut_after = "1m"'),
        ],
        'kernel.sysctl."net/ipv4/vs/expire_nodest_conn"',
        *("hang until they time out", "1 by itself"),
    ),
}


@pytest.mark.parametrize(("edits", "key", "fault", "mend"), SUSPICIONS.values(), ids=SUSPICIONS)
def test_a_suspicious_file(edits: list[tuple[str, str]], key: str, fault: str, mend: str) -> None:
    """It is taken, with one warning at its key that says why."""
    (warning,) = check_text(edited(*edits), node="lb1").warnings

    assert warning.key == key
    assert fault in warning.fault
    assert mend in warning.mend


NETWORKS = {
    "inside": ({"eth0": [Prefix("192.0.2.2", 24)]}, None),
    "outside": ({"eth0": [Prefix("198.51.100.2", 24)]}, 25),
    "a host prefix is no network": ({"eth0": [Prefix("192.0.2.10", 32)]}, 25),
    "no network at all": ({"eth0": []}, 25),
    "a device that is not there": ({}, None),
}


@pytest.mark.parametrize(("networks", "line"), NETWORKS.values(), ids=NETWORKS)
def test_networks(networks: dict[str, list[Prefix]], line: int | None) -> None:
    """A VIP without a length has to be in a network of its interface; one with a length need not."""
    faults = check_text(PAIR, node="lb1").check_networks(networks)

    assert [found.line for found in faults] == ([] if line is None else [line])
    assert all('as in "192.0.2.10/32"' in found.mend for found in faults)


def test_the_digest_of_one_file_is_its_sha256(tmp_path: Path) -> None:
    """What `sha256sum` says; `read` and `load` agree."""
    path = tmp_path / "director.toml"
    path.write_text(PAIR)

    assert load(path, node="lb1", host="").digest == hashlib.sha256(PAIR.encode()).hexdigest()
    assert read(path, node="lb1", host="").config == load(path, node="lb1", host="")
    assert file_digest([b"a", b"b"]) == hashlib.sha256(b"ab").hexdigest()


LINES = st.sampled_from(PAIR.splitlines())
WORDS = st.sampled_from(
    [
        *(
            "=",
            "[",
            "]",
            "{",
            "}",
            '"',
            "'",
            ".",
            ",",
            "\n",
            "1",
            "true",
            "-1",
            "2s",
            "[[",
            "]]",
            "#",
        ),
        *("services", "web", "checks", "vrrp", "nodes", "lb1", "kernel", "sync", "link", "virtual"),
        *(
            "1.5",
            "1979-05-27",
            "nan",
            "0x10",
            '""',
            "@a:1",
            "::1",
            "real_servers",
            "defaults",
            "[]",
        ),
    ]
)
VALUES = st.recursive(
    st.sampled_from(['"x"', "5", "-1", "true", "1.5", "1979-05-27", "inf", '""', '"2s"', '"a:1"']),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | inner.map(lambda item: f"{{ server = {item}, kind = {item}, address = {item} }}")
    ),
    max_leaves=4,
)


def only_config_errors(tmp: Path, data: bytes) -> None:
    tmp.write_bytes(data)
    faults: tuple[Fault, ...] = ()
    try:
        load(tmp, node="lb1", host="")
    except ConfigError as error:
        faults = error.faults
    assert all(found.mend and found.fault for found in faults)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("arbitrary") / "director.toml"


@given(data=st.binary() | st.text().map(str.encode) | st.lists(WORDS).map(" ".join).map(str.encode))
def test_arbitrary_text_is_refused_and_never_crashes(scratch: Path, data: bytes) -> None:
    """`load` raises nothing but ConfigError, and every fault has a mend."""
    only_config_errors(scratch, data)


@given(data=st.data())
def test_a_right_file_with_values_exchanged(scratch: Path, data: st.DataObject) -> None:
    """The same with right keys and wrong values: any line may get any other value, or go."""
    lines = PAIR.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        key, equals, _ = lines[at].partition(" = ")
        value = data.draw(VALUES)
        lines[at] = f"{key} = {value}" if equals else data.draw(LINES)
    only_config_errors(scratch, "\n".join(lines).encode())
