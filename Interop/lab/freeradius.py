"""FreeRADIUS as a server beside a gateway: a configuration of its own, in the case's directory; on the loopback, or where
a scenario has it."""

import os
import re

from .processes import Daemon, Failure, eventually

SERVER = "/usr/sbin/freeradius"

#: Who is known, and how it is proved: for those outside and inside a TLS tunnel alike.
_WHO = """  authorize {
    files
    eap {
      ok = return
    }
    mschap
    pap
  }
  authenticate {
    Auth-Type PAP {
      pap
    }
    Auth-Type MS-CHAP {
      mschap
    }
    eap
  }"""

_CONFIGURATION = """prefix = /usr
libdir = /usr/lib/freeradius
confdir = {directory}
raddbdir = {directory}
logdir = {directory}
run_dir = {directory}
max_requests = 16384
cleanup_delay = 5
security {{
  max_attributes = 200
  reject_delay = 0
  status_server = no
}}
thread pool {{
  start_servers = 2
  max_servers = 4
  min_spare_servers = 1
  max_spare_servers = 3
  max_requests_per_server = 0
}}
client lab {{
  ipaddr = {client}
  secret = "{secret}"
  require_message_authenticator = yes
}}
modules {{
  pap {{
  }}
  mschap {{
    use_mppe = yes
  }}
  files {{
    usersfile = {directory}/users
  }}
  detail {{
    filename = {directory}/accounting
    permissions = 0600
  }}
  eap {{
    default_eap_type = {method}
    timer_expire = 60
    ignore_unknown_eap_types = no
    max_sessions = 16384
    md5 {{
    }}
    gtc {{
      auth_type = PAP
    }}
    tls-config lab {{
      private_key_file = {key}
      certificate_file = {certificate}
      ca_file = {authority}
      tls_min_version = "1.2"
      tls_max_version = "1.2"
      fragment_size = 1024
    }}
    tls {{
      tls = lab
    }}
    ttls {{
      tls = lab
      default_eap_type = md5
      copy_request_to_tunnel = no
      use_tunneled_reply = no
      virtual_server = inner
    }}
    peap {{
      tls = lab
      default_eap_type = mschapv2
      copy_request_to_tunnel = no
      use_tunneled_reply = no
      virtual_server = inner
    }}
    mschapv2 {{
    }}
  }}
}}
server lab {{
  listen {{
    type = auth
    ipaddr = {address}
    port = {port}
  }}
  listen {{
    type = acct
    ipaddr = {address}
    port = {accounting}
  }}
{who}
  accounting {{
    detail
  }}
  post-auth {{
    Post-Auth-Type REJECT {{
      eap
    }}
  }}
}}
server inner {{
{who}
}}
"""


class FreeRADIUS:
    """One server at `address` for the gateway at `client`. It owns its directory; `start` and `kill` may be called in turn."""

    def __init__(self, directory, netns, secret, users, method, own, authority, port=1812, is_quiet=False,
                 address="127.0.0.1", client=None):
        self.directory = directory
        self.netns = netns
        self.port = port
        self.is_quiet = is_quiet
        self.daemon = None
        os.makedirs(directory, exist_ok=True)
        self._write("radiusd.conf", _CONFIGURATION.format(
            directory=directory, secret=secret, method=method, key=own.key, certificate=own.certificate,
            authority=authority.certificate, port=port, accounting=port + 1, who=_WHO, address=address,
            client=client or address))
        self._write("users", users)
        self._write("dictionary", "")

    def _write(self, name, text):
        with open(os.path.join(self.directory, name), "w", encoding="utf-8") as sink:
            sink.write(text)
        os.chmod(os.path.join(self.directory, name), 0o600)

    def start(self):
        if not os.access(SERVER, os.X_OK):
            raise Failure(f"no {SERVER}: run `make setup`")
        words = ["-f", "-l", "stdout"] if self.is_quiet else ["-X"]
        self.daemon = Daemon(
            [SERVER, *words, "-d", self.directory], os.path.join(self.directory, "output"), netns=self.netns)
        eventually(self._is_ready, 15, "FreeRADIUS is ready")

    def _is_ready(self):
        if not self.daemon.running:
            raise Failure(f"FreeRADIUS ended with {self.daemon.status}: {self.log_text()[-600:]}")
        return "Ready to process requests" in self.log_text()

    def kill(self):
        if self.daemon:
            self.daemon.kill()

    def log_text(self):
        return self.daemon.output() if self.daemon else ""

    def records(self):
        """The accounting records that it has written, in order, each as a dictionary of its last values."""
        path = os.path.join(self.directory, "accounting")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8", errors="replace") as source:
            blocks = source.read().split("\n\n")
        return [dict(re.findall(r'^\t([\w-]+) = "?(.*?)"?$', block, re.MULTILINE)) for block in blocks if block.strip()]
