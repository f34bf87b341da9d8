# An application in Python, which does what it is asked to, line by line, on one connection. See ../neighbours.rs.
import json
import sys

try:
    import sqlite3
except ImportError:
    sys.exit("there is no sqlite3 in this Python")

db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
print("sqlite3", sqlite3.sqlite_version, flush=True)
# Texts that were executed before come from the connection's cache of statements.
cursor, reading = db.cursor(), db.cursor()


def named(cursor, rows):
    names = [column[0] for column in cursor.description or ()]
    return [[list(pair) for pair in zip(names, row, strict=True)] for row in rows]


for line in sys.stdin:
    what, *rest = json.loads(line)
    try:
        if what == "run":
            cursor.execute(*rest)
            rows = named(cursor, cursor.fetchall())
        elif what == "read":
            sql, count = rest
            reading.execute(sql)
            rows = named(reading, reading.fetchmany(count))
        else:
            rows = named(reading, reading.fetchall())
        answer = {"rows": rows}
    except sqlite3.Error as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
