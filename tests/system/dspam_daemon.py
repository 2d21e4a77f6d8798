"""A real daemon of DSPAM for a test, with a home and a dspam.conf of its own and a free port, ended by its process id; and
DSPAM's client, which corrects it by command. MANSIO_DSPAM says which program it is; dspamc is beside it. Both read the file
that DSPAM_CONF names, and a hash driver that is not linked in is found beside them."""
import glob
import os
import pwd
import subprocess

import rig

CONF = '''
Home {home}
{driver}
TrustedDeliveryAgent "/bin/false"
OnFail error
Trust root
Trust nobody
Trust {account}
TrainingMode teft
TestConditionalTraining on
Algorithm graham burton
Tokenizer chain
PValue bcr
WebStats off
Preference "spamAction={spam_action}"
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
MaxMessageSize 100000
ServerQueueSize 32
ServerPID {home}/dspam.pid
ServerMode {mode}
ServerPass.mansio "secret"
ServerParameters "{parameters}"
ServerIdent "localhost.localdomain"
ClientIdent "secret@mansio"
ProcessorURLContext on
ProcessorBias on
'''


class DspamDaemon:
    """`parameters`: ServerParameters; `deliver_to`: DeliveryPort, by SMTP; `path`: ServerDomainSocketPath, with no port then;
    `spam_action`: DSPAM's own, where it is its part to do something."""

    def __init__(self, directory, parameters="--deliver=summary --stdout", mode="auto", deliver_to=None, path=None,
                 spam_action="quarantine"):
        self.program = os.environ["MANSIO_DSPAM"]
        self.home = os.path.join(directory, "dspam")
        os.makedirs(os.path.join(self.home, "data"), exist_ok=True)
        os.makedirs(os.path.join(self.home, "opt-out"), exist_ok=True)
        self.path = path
        self.port = None if path else rig.free_port()
        self.conf = os.path.join(directory, "dspam.conf")
        self.environment = dict(os.environ, DSPAM_CONF=self.conf)
        self.process = None
        near = os.path.join(os.path.dirname(self.program), "..", "lib*", "**", "libhash_drv.so")
        drivers = glob.glob(near, recursive=True)
        text = CONF.format(home=self.home, mode=mode, parameters=parameters, spam_action=spam_action,
                           account=pwd.getpwuid(os.geteuid()).pw_name,
                           driver=f"StorageDriver {os.path.abspath(drivers[0])}" if drivers else "")
        if path:
            text += f'ServerDomainSocketPath "{path}"\nClientHost {path}\n'
        else:
            text += f"ServerHost 127.0.0.1\nServerPort {self.port}\nClientHost 127.0.0.1\nClientPort {self.port}\n"
        if deliver_to:
            text += f"DeliveryHost 127.0.0.1\nDeliveryPort {deliver_to}\nDeliveryIdent localhost\nDeliveryProto SMTP\n"
        with open(self.conf, "w") as f:
            f.write(text)

    @property
    def server(self):
        """As the filter's option has it."""
        return f"unix:{self.path}" if self.path else f"127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen([self.program, "--daemon", "--nofork"], env=self.environment)
        if self.path:
            rig.wait_for(lambda: os.path.exists(self.path), "DSPAM's socket")
        else:
            rig.wait_for_port(self.port)

    def stop(self):
        if self.process is not None:
            rig.end_process(self.process)

    def opt_out(self, user):
        with open(os.path.join(self.home, "opt-out", user + ".nodspam"), "w"):
            pass

    def quarantine(self, user):
        """What DSPAM itself has kept back of a user's mail."""
        try:
            with open(os.path.join(self.home, "data", user, user + ".mbox")) as f:
                return f.read()
        except FileNotFoundError:
            return ""

    @property
    def client(self):
        return os.path.join(os.path.dirname(self.program), "dspamc")

    def command(self, user, *arguments, message="Subject: correction\n\ncorrection\n"):
        """Of DSPAM's client; returns what it prints."""
        done = subprocess.run([self.client, "--user", user, *arguments], input=message, env=self.environment, text=True,
                              capture_output=True, timeout=rig.LIMIT)
        if done.returncode != 0:
            raise AssertionError(f"dspamc {arguments}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def train(self, user, spam, innocent, times=10):
        """A corpus of such mail, by command."""
        for _ in range(times):
            self.command(user, "--class=spam", "--source=corpus", message=spam)
            self.command(user, "--class=innocent", "--source=corpus", message=innocent)
