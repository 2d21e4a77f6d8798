"""A submission server as operators have it: Postfix's smtpd, whose users Dovecot knows, in a directory of its own and on
loopback. It takes mail from who has authenticated, and from nobody else, and hands it on to one next hop.

Only root can start Postfix. Both are children of the test and are ended by their ids; neither needs syslog."""
import contextlib
import os
import pwd
import shutil
import subprocess

from rig import LIMIT, Client, free_port, wait_for

DAEMONS = "/usr/lib/postfix/sbin"
SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")

MAIN = """compatibility_level = 3.6
queue_directory = {spool}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = {daemons}
maillog_file = {log}
maillog_file_prefixes = {dir}
myhostname = submit.postfix.test
mydestination =
mynetworks =
alias_maps =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
smtpd_client_restrictions = permit_sasl_authenticated, reject
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_sasl_security_options = noanonymous, noplaintext
smtpd_sasl_tls_security_options = noanonymous
smtpd_sasl_authenticated_header = yes
broken_sasl_auth_clients = yes
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_received_header = yes
smtp_tls_security_level = none
relayhost = [127.0.0.1]:{sink}
"""

# As who wants it so configures it: STARTTLS or nothing, TLS from the first byte on; and one that knows no TLS.
MASTER = """127.0.0.1:{starttls} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
127.0.0.1:{wrapped} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
127.0.0.1:{clear} inet n - n - - smtpd
  -o smtpd_tls_security_level=none
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

DOVECOT = """base_dir = {dir}/dovecot
state_dir = {dir}/dovecot-state
log_path = {log}
protocols =
listen = 127.0.0.1
ssl = no
auth_mechanisms = {mechanisms}
auth_username_chars =
auth_failure_delay = 0 secs
passdb {{
  driver = passwd-file
  args = username_format=%u {users}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service auth {{
  unix_listener {socket} {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
"""


class Postfix:
    """`users`: passwords by name. Ports: `starttls`, `wrapped`, `clear`."""

    def __init__(self, test, sink_port, users):
        self.dir = test.path("postfix")
        self.log, self.dovecot_log = (os.path.join(self.dir, name) for name in ("postfix.log", "dovecot.log"))
        self.starttls, self.wrapped, self.clear = free_port(), free_port(), free_port()
        self._spool = os.path.join(self.dir, "spool")
        self._etc, data = os.path.join(self.dir, "etc"), os.path.join(self.dir, "data")
        for directory in (self.dir, self._etc, self._spool, data):
            os.mkdir(directory, 0o755)
            os.chmod(directory, 0o755)
        os.chown(data, pwd.getpwnam("postfix").pw_uid, -1)
        key, cert = os.path.join(self.dir, "key.pem"), os.path.join(self.dir, "cert.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", key, "-out", cert], check=True, capture_output=True)
        self._write("etc/main.cf", MAIN.format(spool=self._spool, data=data, daemons=DAEMONS, log=self.log, dir=self.dir, cert=cert,
                                               key=key, sink=sink_port))
        self._write("etc/master.cf", MASTER.format(starttls=self.starttls, wrapped=self.wrapped, clear=self.clear))
        test.addCleanup(self._show_log, test)
        # Postfix makes what is in its queue directory, Dovecot a socket therein: before the first smtpd looks for it.
        checked = subprocess.run(["/usr/sbin/postfix", "-c", self._etc, "check"], capture_output=True, text=True, timeout=LIMIT)
        if checked.returncode:
            raise AssertionError(f"postfix check: {checked.stderr}")
        self._start_dovecot(test, users)
        # What `postfix start-fg` does; its group, which master ends together with itself, is not the test's.
        test.spawn([os.path.join(DAEMONS, "master"), "-c", self._etc, "-s"], start_new_session=True)
        wait_for(self._offers_auth, "Postfix to offer AUTH")

    def _start_dovecot(self, test, users):
        socket = os.path.join(self._spool, "private", "auth")
        known = self._write("users", "".join(f"{name}:{{PLAIN}}{password}::::::\n" for name, password in users.items()))
        conf = self._write("dovecot.conf", DOVECOT.format(dir=self.dir, log=self.dovecot_log, users=known, socket=socket,
                                                          mechanisms=" ".join(MECHANISMS).lower()))
        test.spawn([shutil.which("dovecot", path=SYSTEM_PATH), "-F", "-c", conf])
        wait_for(lambda: os.path.exists(socket), "Dovecot's socket")

    def _offers_auth(self):
        """Dovecot has told it of mechanisms. Where one smtpd listens, all do: master opens the ports, and all at once."""
        with contextlib.suppress(OSError, AssertionError), Client(self.clear) as client:
            return "\nAUTH " in client.cmd("EHLO test")[1]

    def _write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o644)
        return path

    def _show_log(self, test):
        if test._outcome is not None and not test._outcome.success:
            print(self.log_text()[-8000:])

    def log_text(self):
        text = ""
        for log in (self.log, self.dovecot_log):
            with contextlib.suppress(FileNotFoundError), open(log, errors="replace") as f:
                text += f.read()
        return text
