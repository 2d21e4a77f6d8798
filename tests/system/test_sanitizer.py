"""What a sanitizer says about a supervised process fails the test that runs it. Registered with sanitizers only."""
import unittest

import rig

CONFIG = rig.relay_config(1).replace("transport-smtp", "transport-faulty")


class Sanitizer(rig.TestCase):
    def reported(self, single, sender="a@example.com"):
        server = rig.Mansio(self.dir, CONFIG, single=single, plugins=rig.FIXTURES)
        server.start()
        self.addCleanup(rig.end_process, server.process)
        with rig.Client(server.port) as c:
            c.cmd("EHLO client.test")
            c.message(sender, ["b@example.org"], "Subject: x\r\n\r\nhello")
        rig.wait_for(lambda: "Sanitizer" in server.log_text(), "the report")
        with self.assertRaisesRegex(AssertionError, "Sanitizer spoke in"):
            server.close()

    def test_a_report_of_a_child_process_is_noticed(self):
        self.reported(single=False)

    def test_undefined_behaviour_of_a_child_process_is_noticed(self):
        self.reported(single=False, sender="undefined@example.com")

    def test_a_report_of_a_role_that_is_a_thread_is_noticed(self):
        self.reported(single=True)


if __name__ == "__main__":
    unittest.main()
