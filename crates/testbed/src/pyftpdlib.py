# An FTP server with the weaknesses that some servers have: argv[1] is the port, argv[2] the user's home, argv[3] what it
# lacks or does, as JSON.
import json
import logging
import sys
import time

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.filesystems import AbstractedFS
from pyftpdlib.handlers import DTPHandler, FTPHandler
from pyftpdlib.servers import ThreadedFTPServer

port, home, faults = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
logging.basicConfig(level=logging.ERROR)


class Data(DTPHandler):
    cut_after = faults.get("cut_upload_after", 0)

    def handle_read(self):
        super().handle_read()
        if self.receive and 0 < Data.cut_after <= self.tot_bytes_received:
            Data.cut_after = 0
            # As when the line breaks: what came is kept, and both connections end without a word.
            if self.file_obj is not None and not self.file_obj.closed:
                self.file_obj.flush()
            self.cmd_channel.close()


class Handler(FTPHandler):
    dtp_handler = Data
    use_sendfile = False
    masquerade_address = faults.get("masquerade")
    proto_cmds = {
        name: about for name, about in FTPHandler.proto_cmds.items() if name not in faults.get("without", [])
    }

    def ftp_SYST(self, line):
        self.respond("215 Windows_NT" if faults.get("dos") else "215 UNIX Type: L8")


class Dos(AbstractedFS):
    def format_list(self, basedir, listing, ignore_err=True):
        for name in listing:
            info = self.lstat(self.realpath(f"{basedir}/{name}"))
            date = time.strftime("%m-%d-%y  %I:%M%p", time.gmtime(info.st_mtime))
            size = f"{'<DIR>':<20}" if self.isdir(f"{basedir}/{name}") else f"{info.st_size:>20}"
            yield f"{date} {size} {name}\r\n".encode()


if faults.get("dos"):
    Handler.abstracted_fs = Dos
authorizer = DummyAuthorizer()
authorizer.add_user("larder", "larder-secret", home, perm="elradfmwMT")
authorizer.add_user("reader", "larder-secret", home, perm="elr")
Handler.authorizer = authorizer
server = ThreadedFTPServer(("127.0.0.1", port), Handler)
server.max_cons_per_ip = faults.get("connections", 0)
server.serve_forever()
