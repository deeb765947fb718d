"""An iSCSI initiator on the host, without the kernel's: libiscsi (Debian libiscsi7), one command at a time."""
import ctypes
import struct

from guest import check

GOOD, CHECK_CONDITION, RESERVATION_CONFLICT = 0x00, 0x02, 0x18
UNIT_ATTENTION = 6
_NOTHING, _READ, _WRITE = 0, 1, 2  # enum scsi_xfer_dir
_ENTERPRISE_NUMBER = 0  # of the ISID, which is the same each time: after a new login it is the same initiator port


class _Data(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("data", ctypes.c_char_p)]


class _Task(ctypes.Structure):
    """The beginning of libiscsi's struct scsi_task."""
    _fields_ = [("status", ctypes.c_int), ("cdb_size", ctypes.c_int), ("direction", ctypes.c_int),
                ("expected_bytes", ctypes.c_int), ("cdb", ctypes.c_ubyte * 16), ("residual_status", ctypes.c_int),
                ("residual", ctypes.c_size_t), ("error_type", ctypes.c_ubyte), ("sense_key", ctypes.c_int)]


def _library():
    library = ctypes.CDLL("libiscsi.so.7")
    library.iscsi_create_context.restype = ctypes.c_void_p
    library.iscsi_get_error.restype = ctypes.c_char_p
    library.scsi_create_task.restype = ctypes.POINTER(_Task)
    library.iscsi_scsi_command_sync.restype = ctypes.POINTER(_Task)
    return library


class HostInitiator:
    """Logged in to a unit while the object is open."""

    def __init__(self, name, portal, target, lun):
        self.iscsi, self.lun = _library(), lun
        self.context = ctypes.c_void_p(self.iscsi.iscsi_create_context(name.encode()))
        self.iscsi.iscsi_set_isid_en(self.context, _ENTERPRISE_NUMBER, 1)
        self.iscsi.iscsi_set_targetname(self.context, target.encode())
        self.iscsi.iscsi_set_session_type(self.context, 2)  # ISCSI_SESSION_NORMAL
        self.iscsi.iscsi_set_noautoreconnect(self.context, 1)
        self.iscsi.iscsi_set_timeout(self.context, 30)
        done = self.iscsi.iscsi_full_connect_sync(self.context, portal.encode(), lun)
        self._expect(done == 0, "the host logs in")

    def _expect(self, holds, what):
        """What is not the scenario's own question is said only when it fails."""
        if not holds:
            check(False, what, (self.iscsi.iscsi_get_error(self.context) or b"").decode())

    def _once(self, cdb, out, into):
        direction, length = (_WRITE, len(out)) if out else (_READ, len(into)) if into else (_NOTHING, 0)
        task = self.iscsi.scsi_create_task(len(cdb), cdb, direction, length)
        if into:
            self.iscsi.scsi_task_add_data_in_buffer(task, len(into), into)
        data = ctypes.byref(_Data(len(out), out)) if out else None
        done = self.iscsi.iscsi_scsi_command_sync(self.context, self.lun, task, data)
        self._expect(bool(done), "the host's command is answered")
        status, key = task.contents.status, task.contents.sense_key
        self.iscsi.scsi_free_scsi_task(task)
        return status, key

    def command(self, cdb, out=b"", into=None):
        """@param into a ctypes buffer for what comes.  @return the status; unit attentions are taken and passed over."""
        while True:
            status, key = self._once(cdb, out, into)
            if status != CHECK_CONDITION or key != UNIT_ATTENTION:
                return status

    def write(self, block, data):
        return self.command(struct.pack(">BBIBHB", 0x2A, 0, block, 0, len(data) // 512, 0), out=data)

    def read(self, block, count=1):
        buffer = ctypes.create_string_buffer(512 * count)
        status = self.command(struct.pack(">BBIBHB", 0x28, 0, block, 0, count, 0), into=buffer)
        self._expect(status == GOOD, f"the host reads block {block}: status {status:#x}")
        return buffer.raw

    # Persistent reservations (SPC-5 §6.16, §6.17)

    def _reserve_out(self, action, kind, key, action_key, aptpl=False):
        parameters = struct.pack(">QQIBBH", key, action_key, 0, aptpl, 0, 0)
        return self.command(struct.pack(">BBB2xIx", 0x5F, action, kind, len(parameters)), out=parameters)

    def _reserve_in(self, action):
        buffer = ctypes.create_string_buffer(1024)
        status = self.command(struct.pack(">BB5xHx", 0x5E, action, len(buffer)), into=buffer)
        self._expect(status == GOOD, f"the host reads reservations: status {status:#x}")
        length = struct.unpack_from(">I", buffer, 4)[0]
        return buffer.raw[8:8 + length]

    def register(self, key):
        """REGISTER AND IGNORE EXISTING KEY, to outlive the target's loss of power."""
        return self._reserve_out(6, 0, 0, key, aptpl=True)

    def preempt_and_abort(self, own_key, key):
        return self._reserve_out(5, 5, own_key, key)

    def keys(self):
        return sorted(key for key, in struct.iter_unpack(">Q", self._reserve_in(0)))

    def reservation(self):
        """@return (key of the holder, type), or None."""
        data = self._reserve_in(1)
        return (struct.unpack_from(">Q", data)[0], data[13] & 0xF) if data else None

    def close(self):
        self.iscsi.iscsi_logout_sync(self.context)
        self.iscsi.iscsi_destroy_context(self.context)
