"""What the disk damaged is set aside with its bytes and reported; the rest of its segment is served. `mansio spool` tells
what is whole from what is not."""
import glob
import json
import os
import unittest

import rig

LARGE = 3  # has a segment of its own


def content(number):
    filler = b"%061d.\r\n" % number
    return b"Subject: number %d\r\n\r\n" % number + filler * (30000 if number == LARGE else 10)


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Corrupt(rig.TestCase):
    def segments(self):
        return glob.glob(os.path.join(self.server.spool, "segments", "*"))

    def flip(self, mark):
        """One bit of the first place where this stands."""
        for path in self.segments():
            with open(path, "r+b") as f:
                at = f.read().find(mark)
                if at < 0:
                    continue
                f.seek(at)
                octet = f.read(1)[0]
                f.seek(at)
                f.write(bytes([octet ^ 1]))
                return
        self.fail(f"{mark} is not in the spool")

    def start(self, reply, backoff):
        """A next hop that takes nothing until `self.up`."""
        self.up = False
        self.next_hop = self.peer(on=lambda command, session, argument: reply[command] if command in reply and not self.up else None)
        self.server = self.mansio(rig.relay_config(self.next_hop.port, extra="ingress_processes = 1") + f"""
[queue]
minimal_backoff_time = "{backoff}"
maximal_backoff_time = "{backoff}"
""")
        ids = {}
        with rig.Client(self.server.port) as client:
            client.cmd("EHLO test")
            for number in range(6):
                _, text = client.message(f"sender{number}@example.org", [f"user{number}@example.net"], content(number))
                ids[number] = text.split()[-1]
        return ids

    def arrived(self):
        """By number; but for what the postmaster is told, which comes when it comes."""
        with self.next_hop.lock:
            return {int(m.recipients[0][4:].split("@")[0]): m.content for m in self.next_hop.messages
                    if not m.recipients[0].startswith("postmaster@")}

    def only(self, whole):
        """Nothing but these arrives, and nothing else is left than what is corrupt."""
        rig.wait_for(lambda: self.arrived().keys() >= whole, "the messages that are whole")
        for number, got in self.arrived().items():
            self.assertTrue(got.endswith(content(number) + b"\r\n"))
        rig.wait_for(lambda: all(m["queue_name"] == "corrupt" for m in self.server.queue()), "nothing but what is corrupt")
        self.assertEqual(self.arrived().keys(), whole)

    def test_what_goes_bad_while_it_waits_is_not_delivered(self):
        ids = self.start({"RCPT": "450 4.2.0 later"}, "1h")
        self.server.wait_deferred(len(ids))
        damaged = {1, LARGE}
        self.flip(b"number 1\r\n")
        self.flip(b"%061d.\r\n" % LARGE)
        self.up = True
        self.server.cli("queue", "flush", "--all")
        self.only(ids.keys() - damaged)
        self.assertEqual({m["queue_id"] for m in self.server.queue()}, {ids[n] for n in damaged})
        self.assertEqual({e["qid"] for e in self.server.events("the message is set aside")}, {ids[n] for n in damaged})

    def test_damaged_messages_are_set_aside_and_the_others_of_the_segment_are_delivered(self):
        ids = self.start({"CONNECT": "421 4.3.2 not now"}, "1s")
        server = self.server
        server.kill()
        self.flip(b"number 1\r\n")           # of a body
        self.flip(b"sender2@example.org")    # of an envelope: the Received field names the recipient
        self.flip(b"%061d.\r\n" % LARGE)     # of a body in a segment of its own
        damaged = {1, 2, LARGE}
        self.up = True
        server.start()
        self.only(ids.keys() - damaged)
        # Reported by name, and the bytes are there, all but the bit.
        reported = {e["qid"] for e in server.events("message damaged: set aside")}
        self.assertEqual(reported, {ids[n] for n in damaged})
        aside = {os.path.basename(p): read(p) for p in glob.glob(os.path.join(server.spool, "corrupt", "*"))}
        for number, left in ((1, content(1)[20:]), (2, content(2)), (LARGE, content(LARGE)[100:])):
            self.assertTrue(any(ids[number] in name and left in bytes_ for name, bytes_ in aside.items()),
                            f"message {number} is not in corrupt/: {[(n, len(b)) for n, b in aside.items()]}")

    def stopped(self):
        """A spool with messages that no Mansio runs on."""
        ids = self.start({"RCPT": "450 4.2.0 later"}, "1h")
        self.server.wait_deferred(len(ids))
        self.server.stop()
        return ids

    def test_spool_check_names_what_is_damaged(self):
        ids = self.stopped()
        self.assertRegex(self.server.cli("spool", "check"), r"; 6 messages, .*; 0 problems\n$")
        self.flip(b"number 1\r\n")
        self.flip(b"%061d.\r\n" % LARGE)
        damaged = rig.run_program("spool", "check", "--config", self.server.config)
        self.assertEqual(damaged.returncode, 1)
        self.assertRegex(damaged.stdout, rf"(?m)^message {ids[1]}: records damaged in segment [0-9a-f]{{8}}$")
        self.assertRegex(damaged.stdout, rf"(?m)^message {ids[LARGE]}: body damaged$")
        self.assertRegex(damaged.stdout, r"; 4 messages, .*; [1-9]\d* problems\n$")
        for number in ids.keys() - {1, LARGE}:
            self.assertNotIn(ids[number], damaged.stdout)

    def test_spool_dump_prints_every_record_as_a_line_of_json(self):
        ids = self.stopped()
        records = [json.loads(line) for line in self.server.cli("spool", "dump").splitlines()]
        envelopes = {r["queue_id"]: r["envelope"] for r in records if "envelope" in r}
        self.assertEqual(envelopes.keys(), set(ids.values()))
        for number, qid in ids.items():
            self.assertEqual(envelopes[qid]["sender"], f"sender{number}@example.org")
            self.assertEqual([r["address"] for r in envelopes[qid]["recipients"]], [f"user{number}@example.net"])
        self.assertEqual({r["file"] for r in records}, {"segment", "journal"})


if __name__ == "__main__":
    unittest.main()
