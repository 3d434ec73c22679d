"""What an application does with redis-py: the connection's port is the first argument.

Ends with status 0 if everything behaves.
"""

import sys
import threading

import redis

PORT = int(sys.argv[1])


def connect(**options):
    return redis.Redis(host="127.0.0.1", port=PORT, **options)


def strings(r):
    assert r.set("name", "kevy") is True
    assert r.get("name") == "kevy"
    assert r.get("missing") is None
    assert r.set("name", "other", nx=True) is None
    assert r.set("name", "other", xx=True, get=True) == "kevy"
    assert r.append("name", "!") == 6
    assert r.strlen("name") == 6
    assert r.getrange("name", 1, 3) == "the"
    assert r.setrange("name", 5, "?") == 6
    assert r.incr("n") == 1
    assert r.incrby("n", 41) == 42
    assert r.decr("n", 2) == 40
    assert r.incrbyfloat("f", "0.5") == 0.5
    assert r.mset({"a": 1, "b": 2, "c": 3})
    assert r.mget("a", "none", "c") == ["1", None, "3"]
    assert r.msetnx({"c": 1, "d": 1}) in (0, False)
    assert r.getdel("a") == "1"
    assert r.exists("a", "b", "c", "c") == 3
    assert r.delete("b", "c", "none") == 2
    assert r.lcs("name", "name") is not None


def expiry(r):
    r.set("t", "v", ex=100)
    assert 95 <= r.ttl("t") <= 100
    assert r.expire("t", 200, gt=True) in (1, True)
    assert r.expire("t", 100, gt=True) in (0, False)
    assert r.persist("t") in (1, True)
    assert r.ttl("t") == -1
    assert r.pexpireat("t", 4102444800000) in (1, True)
    assert r.pexpiretime("t") == 4102444800000
    assert r.getex("t", persist=True) == "v"
    assert r.ttl("t") == -1


def keys(r):
    r.flushdb()
    for i in range(1000):
        r.set(f"scan:{i}", i)
    assert sorted(r.scan_iter(match="scan:*", count=37)) == sorted(f"scan:{i}" for i in range(1000))
    assert len(list(r.scan_iter(_type="string"))) == 1000
    assert len(r.keys("scan:99*")) == 11
    assert r.randomkey().startswith("scan:")
    assert r.dbsize() == 1000
    assert r.type("scan:1") == "string"
    r.rename("scan:1", "renamed")
    assert r.copy("renamed", "copied")
    assert r.unlink("renamed", "copied") == 2
    assert r.object("encoding", "scan:2") == "int"


def pipelines(r):
    with r.pipeline(transaction=False) as p:
        for i in range(500):
            p.set(f"p:{i}", i).get(f"p:{i}")
        replies = p.execute()
    assert replies[1::2] == [str(i) for i in range(500)]

    with r.pipeline(transaction=True) as p:
        p.set("x", 1).incr("x").mget("x", "none")
        assert p.execute() == [True, 2, ["2", None]]

    with r.pipeline(transaction=True) as p:
        p.set("x", "text").incr("x").get("x")
        try:
            p.execute()
            raise AssertionError("an error was expected")
        except redis.ResponseError as error:
            assert "not an integer" in str(error)
    assert r.get("x") == "text"


def watch(r):
    r.set("counter", 0)

    def count():
        own = connect(decode_responses=True)
        for _ in range(50):
            def add(p):
                value = int(p.get("counter"))
                p.multi()
                p.set("counter", value + 1)
            own.transaction(add, "counter")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert r.get("counter") == "200"

    with r.pipeline() as p:
        p.watch("counter")
        r.set("counter", "changed")
        p.multi()
        p.set("counter", "lost")
        try:
            p.execute()
            raise AssertionError("a WatchError was expected")
        except redis.WatchError:
            pass
    assert r.get("counter") == "changed"


def server(r):
    assert r.ping() is True
    assert r.echo("hello") == "hello"
    info = r.info()
    for field in ("redis_version", "redis_mode", "arch_bits", "cluster_enabled", "maxmemory_policy", "loading",
                  "uptime_in_days", "connected_clients", "used_memory_human", "used_memory_peak_human"):
        assert field in info, field
    assert "keys" in r.info("keyspace").get("db0", {})
    assert r.config_set("maxmemory-policy", "allkeys-lru")
    assert r.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
    assert r.config_set("maxmemory-policy", "noeviction")
    assert r.client_setname("py") is True
    assert r.client_getname() == "py"
    assert any(client["name"] == "py" for client in r.client_list())
    assert len(r.time()) == 2
    assert r.command_count() > 50
    assert r.memory_usage("counter") > 0
    other = connect(db=3, decode_responses=True)
    other.set("only", "here")
    assert r.get("only") is None
    assert r.swapdb(0, 3)
    assert r.get("only") == "here"
    assert r.swapdb(0, 3)
    try:
        r.execute_command("NOSUCH", "a")
        raise AssertionError("an error was expected")
    except redis.ResponseError as error:
        assert "unknown command" in str(error)


def binary():
    r = connect()
    value = bytes(range(256)) * 300
    r.set(b"\x00\xff\r\n", value)
    assert r.get(b"\x00\xff\r\n") == value


def everything():
    for protocol in (2, 3):
        r = connect(decode_responses=True, protocol=protocol)
        r.flushall()
        for part in (strings, expiry, keys, pipelines, watch, server):
            part(r)
    binary()


everything()
print("redis-py", redis.__version__, "is content")
