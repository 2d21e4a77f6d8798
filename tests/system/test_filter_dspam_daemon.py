"""filter-dspam against a real daemon of DSPAM, with its hash driver, in both of its protocols. Registered when
-D MANSIO_DSPAM=/path/to/dspam says where one is."""
import glob
import os
import pwd
import unittest

import rig
import test_filter_dspam as scripted

DSPAM_CONF = '''
Home {home}
{driver}
TrustedDeliveryAgent "/bin/false"
OnFail error
Trust root
Trust {account}
TrainingMode teft
TestConditionalTraining on
Algorithm graham burton
Tokenizer chain
PValue bcr
WebStats off
Preference "spamAction=quarantine"
Preference "signatureLocation=headers"
HashRecMax 98317
HashAutoExtend on
HashMaxExtents 0
HashExtentSize 49157
HashPctIncrease 10
HashMaxSeek 10
HashConnectionCache 10
SystemLog off
UserLog off
Opt out
ServerHost 127.0.0.1
ServerPort {port}
ServerQueueSize 32
ServerPID {home}/dspam.pid
ServerMode auto
ServerPass.mansio "secret"
ServerParameters "--deliver=summary --stdout"
ServerIdent "localhost.localdomain"
ProcessorURLContext on
ProcessorBias on
'''


class FilterDspamDaemon(rig.TestCase):
    def setUp(self):
        super().setUp()
        self.sink = self.peer()
        program = os.environ["MANSIO_DSPAM"]
        home = self.path("dspam")
        os.makedirs(os.path.join(home, "data"))
        # A driver that is linked in needs no name.
        drivers = glob.glob(os.path.join(os.path.dirname(program), "..", "lib*", "**", "libhash_drv.so"), recursive=True)
        self.port = rig.free_port()
        conf = self.path("dspam.conf")
        with open(conf, "w") as f:
            f.write(DSPAM_CONF.format(home=home, port=self.port, account=pwd.getpwuid(os.geteuid()).pw_name,
                                      driver=f"StorageDriver {os.path.abspath(drivers[0])}" if drivers else ""))
        self.spawn([program, "--daemon", "--nofork"], env=dict(os.environ, DSPAM_CONF=conf))
        rig.wait_for_port(self.port)

    def start(self, filter, name):
        values = {"mode": "process", "server": f"127.0.0.1:{self.port}", "filter": filter, "more": "", "next_hop": self.sink.port}
        server = self.mansio(scripted.CONFIG % values, name=name)
        client = rig.Client(server.port)
        self.addCleanup(client.close)
        client.cmd("EHLO client.test")
        return client

    def delivered(self, n):
        rig.wait_for(lambda: self.sink.count() >= n, f"{n} messages at the sink")
        return scripted.FilterDspam.fields(self.sink.messages[n - 1])

    def test_mail_is_judged_and_corrections_are_taken(self):
        client = self.start(scripted.DLMTP + 'train_spam = ["spam@two.example"]\ntrain_ham = ["notspam@two.example"]', "dlmtp")
        client.message("a@example.com", ["bob@two.example"], "From: a@example.com\r\nSubject: one\r\n\r\nhello world, cheap pills")
        fields = self.delivered(1)
        self.assertEqual(fields["X-DSPAM-Result"], ["Innocent"])  # it has learnt nothing yet
        signature = fields["X-DSPAM-Signature"][0]
        client.message("bob@two.example", ["spam@two.example"], f"Subject: Fwd\r\n\r\nX-DSPAM-Signature: {signature}")
        client.message("bob@two.example", ["notspam@two.example"], f"Subject: Fwd\r\n\r\nX-DSPAM-Signature: {signature}")
        client.message("bob@two.example", ["spam@two.example"], "Subject: Fwd\r\n\r\nX-DSPAM-Signature: 4f6a0000", expect=550)
        client.message("a@example.com", ["bob@two.example", "eve@two.example"], "From: a@example.com\r\nSubject: two\r\n\r\n.\r\n..\r\nx")
        self.assertEqual(len(self.delivered(2)["X-DSPAM-Signature"]), 2)

    def test_it_judges_in_lmtp_too(self):
        client = self.start('mode = "lmtp"', "lmtp")
        for n in (1, 2):
            client.message("a@example.com", ["bob@two.example"], "From: a@example.com\r\nSubject: one\r\n\r\nhello world")
            self.assertEqual(self.delivered(n)["X-DSPAM-Result"], ["Innocent"])

    def test_a_wrong_password_is_a_failure(self):
        client = self.start('ident = "mansio"\npassword = "guess"', "wrong")
        client.message("a@example.com", ["bob@two.example"], "Subject: one\r\n\r\nhello", expect=451)


if __name__ == "__main__":
    unittest.main()
