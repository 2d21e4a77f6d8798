// A slapd of the test's own, with people, groups that refer to each other, and all the ways to reach it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "plugins/lookup-common/tests/rig.hpp"

namespace mansio::lookup::rig {

struct Slapd {
  Slapd() {
    certificate(dir.path());
    std::filesystem::create_directory(dir / "db");
    write_file(dir / "slapd.conf", R"(
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
attributetype (1.3.6.1.4.1.4203.666.1.1 NAME 'maildrop' EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26)
attributetype (1.3.6.1.4.1.4203.666.1.3 NAME 'memberURL' SUP labeledURI)
objectclass (1.3.6.1.4.1.4203.666.1.2 NAME 'mailGroup' SUP top AUXILIARY MAY (maildrop $ mail $ memberURL $ member))
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile DIR/pid
TLSCACertificateFile DIR/cert.pem
TLSCertificateFile DIR/cert.pem
TLSCertificateKeyFile DIR/key.pem
authz-regexp "gidNumber=.*,cn=peercred,cn=external,cn=auth" "cn=reader,dc=example,dc=com"
authz-regexp "uid=([^,]*),(cn=[^,]*,)?cn=[^,]*,cn=auth" "cn=$1,dc=example,dc=com"
password-hash {CLEARTEXT}
database mdb
suffix dc=example,dc=com
directory DIR/db
rootdn cn=root,dc=example,dc=com
rootpw root
dbnosync
access to attrs=userPassword by anonymous auth
access to dn.subtree="ou=private,dc=example,dc=com" by dn="cn=reader,dc=example,dc=com" read by * none
access to * by * read
)");
    auto conf = read_file(dir / "slapd.conf");
    for (auto at = conf.find("DIR"); at != std::string::npos; at = conf.find("DIR", at))
      conf.replace(at, 3, dir.path());
    write_file(dir / "slapd.conf", conf);
    write_file(dir / "data.ldif", kEntries);
    run({"/usr/sbin/slapadd", "-f", dir / "slapd.conf", "-l", dir / "data.ldif"}, dir / "slapadd.log");
    start();
  }
  void start() {
    server = std::make_unique<Program>(std::vector<std::string>{"/usr/sbin/slapd", "-d", "0", "-f", dir / "slapd.conf",
                                                                "-h", tcp() + " " + tls() + " " + local()},
                                       dir / "slapd.log");
    server->wait_until([this] { return accepts(port) && accepts(tls_port) && accepts(dir / "ldapi"); });
  }
  std::string tcp() const { return "ldap://127.0.0.1:" + std::to_string(port); }
  std::string tls() const { return "ldaps://127.0.0.1:" + std::to_string(tls_port); }
  std::string local() const {
    auto path = dir / "ldapi";
    for (auto at = path.find('/'); at != std::string::npos; at = path.find('/')) path.replace(at, 1, "%2f");
    return "ldapi://" + path;
  }

  static constexpr const char *kEntries = R"(dn: dc=example,dc=com
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
objectClass: mailGroup
uid: alice
cn: Alice
sn: A
mail: alice@example.com
maildrop: alice@store1.example.net
maildrop: alice@store2.example.net

dn: uid=bob,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
objectClass: mailGroup
uid: bob
cn: Bob
sn: B
mail: bob@example.com
maildrop: bob@store1.example.net

dn: uid=star,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
objectClass: mailGroup
uid: star
cn: Star
sn: S
mail: a*(b)\c@example.com
maildrop: star@store1.example.net

dn: ou=groups,dc=example,dc=com
objectClass: organizationalUnit
ou: groups

dn: cn=team,ou=groups,dc=example,dc=com
objectClass: groupOfNames
objectClass: mailGroup
cn: team
mail: team@example.com
member: uid=alice,ou=people,dc=example,dc=com
member: cn=others,ou=groups,dc=example,dc=com
member: uid=gone,ou=people,dc=example,dc=com

dn: cn=others,ou=groups,dc=example,dc=com
objectClass: groupOfNames
objectClass: mailGroup
cn: others
mail: others@example.com
member: uid=bob,ou=people,dc=example,dc=com
member: cn=team,ou=groups,dc=example,dc=com

dn: cn=fixed,ou=groups,dc=example,dc=com
objectClass: groupOfNames
objectClass: mailGroup
cn: fixed
mail: fixed@example.com
maildrop: fixed@lists.example.net
member: uid=alice,ou=people,dc=example,dc=com

dn: cn=byurl,ou=groups,dc=example,dc=com
objectClass: organizationalRole
objectClass: mailGroup
cn: byurl
mail: byurl@example.com
memberURL: ldap:///ou=people,dc=example,dc=com??sub?(uid=bob)
memberURL: ldap:///ou=people,dc=example,dc=com?mail?one?(uid=alice)
memberURL: ldap:///ou=people,dc=example,dc=com?sn?one?(uid=alice)

dn: ou=private,dc=example,dc=com
objectClass: organizationalUnit
ou: private

dn: uid=carol,ou=private,dc=example,dc=com
objectClass: inetOrgPerson
objectClass: mailGroup
uid: carol
cn: Carol
sn: C
mail: carol@example.com
maildrop: carol@store1.example.net
)";

  Directory dir;
  std::uint16_t port = free_port(), tls_port = free_port();
  std::unique_ptr<Program> server;
};

}  // namespace mansio::lookup::rig
