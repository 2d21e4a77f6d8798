"""Recipients are who a directory says: examples/lua/recipients-ldap.lua with lookup-ldap and a slapd of the test's own, which
goes away and comes back."""
import os
import subprocess
import unittest

import rig

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "lua", "recipients-ldap.lua")
CONFIG = '''
myhostname = "mx.mansio.test"
mydestination = ["example.com"]
[smtpd]
policies = ["recipients"]
[listener.smtp]
listen = ["127.0.0.1:{port}"]
[policy.recipients]
plugin = "lua"
script = "{dir}/recipients-ldap.lua"
[lookup.directory]
plugin = "lookup-ldap"
server_host = ["ldap://127.0.0.1:%d"]
search_base = "ou=people,dc=example,dc=com"
query_filter = "(&(objectClass=inetOrgPerson)(mail=%%s))"
result_attribute = ["mail"]
bind_dn = "cn=reader,dc=example,dc=com"
bind_pw = "secret"
retry_interval = 0
[transport.discard]
plugin = "transport-discard"
[[route]]
transport = "discard"
'''
SLAPD = '''
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {dir}/slapd.pid
password-hash {{CLEARTEXT}}
database mdb
suffix dc=example,dc=com
directory {dir}/db
rootdn cn=root,dc=example,dc=com
rootpw root
dbnosync
access to attrs=userPassword by anonymous auth
access to * by dn="cn=reader,dc=example,dc=com" read by * auth
'''
ENTRIES = '''dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: cn=reader,dc=example,dc=com
objectClass: person
cn: reader
sn: reader
userPassword: secret

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: uid=alice,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: A
mail: alice@example.com

dn: uid=bob,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: B
mail: bob@example.com
'''


class LuaLdap(rig.TestCase):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("db"))
        for name, text in (("slapd.conf", SLAPD.format(dir=self.dir)), ("data.ldif", ENTRIES)):
            with open(self.path(name), "w") as f:
                f.write(text)
        subprocess.run(["/usr/sbin/slapadd", "-f", self.path("slapd.conf"), "-l", self.path("data.ldif")], check=True,
                       capture_output=True)
        self.port = rig.free_port()
        self.slapd = self.directory()
        with open(EXAMPLE) as f, open(self.path("recipients-ldap.lua"), "w") as to:
            to.write(f.read())
        os.chmod(self.path("recipients-ldap.lua"), 0o644)

    def directory(self):
        slapd = self.spawn(["/usr/sbin/slapd", "-d", "0", "-f", self.path("slapd.conf"), "-h", f"ldap://127.0.0.1:{self.port}"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rig.wait_for_port(self.port)
        return slapd

    def test_recipients_are_whom_the_directory_has(self):
        server = self.mansio(CONFIG % self.port, plugins=self.plugins("lua", "lookup-ldap", "transport-discard"))
        with rig.Client(server.port) as client:
            client.cmd("EHLO client.test")
            client.cmd("MAIL FROM:<a@example.org>")

            def rcpt(address):
                return client.cmd(f"RCPT TO:<{address}>")
            # The process of the lookup may still be starting.
            rig.wait_for(lambda: rcpt("alice@example.com")[0] == 250, "the directory to be asked")
            for address in ("Alice+lists@Example.com", "postmaster@example.com"):
                self.assertEqual(rcpt(address)[0], 250, address)
            self.assertEqual(rcpt("nobody@example.com"), (550, "5.1.1 no such user here"))
            rig.end_process(self.slapd)
            # Who was asked about is known, and nobody is refused for what nobody can say.
            self.assertEqual(rcpt("alice@example.com")[0], 250)
            self.assertEqual(rcpt("nobody@example.com")[0], 550)
            self.assertEqual(rcpt("bob@example.com")[0], 451)
            self.slapd = self.directory()
            rig.wait_for(lambda: rcpt("bob@example.com")[0] == 250, "the directory to be asked again")
        result = rig.run_program("check", "--config", server.config)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


if __name__ == "__main__":
    unittest.main()
