#!/usr/bin/env python3
"""A whole terminal in Python's standard library, written from ../README.md: signs on over HTTP,
asks for one use (0100), checks the answer's MAC and prints the outcome as one line of JSON.

  TERMINAL_KEY=HEX terminal.py URL TERMINAL_ID PAN ITEM_CODE AMOUNT_FEN [MASTER_KEY_VERSION]
  terminal.py http://127.0.0.1:8583/v1/messages 46000001 6214000000000000019 3000001 200

TERMINAL_KEY is the terminal's master key of 32 bytes; its profile must name hmac-sha-256.
Exit codes: 0 approved, 1 declined, 2 wrong arguments, 3 no answer that can be believed.
"""

import datetime
import hashlib
import hmac
import json
import os
import secrets
import struct
import sys
import time
import urllib.request

HMAC_SHA_256 = 3
HEADER = struct.Struct("<2sBBHHIIIIIH2s")  # timeMs as u32 and u16
USE = struct.Struct("<16sIIIIqIBBHIIQ")
OUTCOME = struct.Struct("<III2sHQIBBH")
MANAGEMENT = struct.Struct("<HBBIII16s16s16x")


class NoAnswer(Exception):
    """Nothing came that can be believed; the status, if any, is a hint."""


def derive(master_key, label, context):
    message = struct.pack(">I", 1) + label + b"\0" + context + struct.pack(">I", 256)
    return hmac.digest(master_key, message, hashlib.sha256)


def pan_block(pan):
    halves = pan + "f" * (20 - len(pan))
    return bytes([len(pan)]) + bytes.fromhex(halves) + bytes(5)


class Terminal:
    def __init__(self, url, terminal_id, master_key, master_key_version=1):
        self.url = url
        self.terminal_id = terminal_id
        self.master_key = master_key
        self.master_key_version = master_key_version
        self.generation = 0
        self.sequence = 0
        self.request_key = self.response_key = b""

    def exchange(self, mti, body, count, sign_key, check_key):
        """Sends a frame; returns the answer's header and body. check_key makes the key that
        checks it, from the answer's key generation."""
        now = time.time_ns() // 1_000_000
        header = HEADER.pack(b"TK", 1, 0, mti, count, self.terminal_id, self.generation,
                             self.sequence, len(body), now & 0xFFFFFFFF, now >> 32, b"\0\0")
        frame = header + body
        frame += hmac.digest(sign_key, frame, hashlib.sha256)[:16]
        request = urllib.request.Request(self.url, frame, method="POST",
                                         headers={"Content-Type": "application/octet-stream"})
        with urllib.request.urlopen(request, timeout=5) as response:
            answer = response.read()
        if len(answer) < 48 or answer[:3] != b"TK\x01":
            raise NoAnswer("the answer is no frame")
        (_, _, flags, answer_mti, answer_count, sender, generation, sequence, size,
         _, _, status) = HEADER.unpack(answer[:32])
        if flags & 1:
            raise NoAnswer("refused with status " + status.decode("ascii", "replace"))
        mac = hmac.digest(check_key(generation), answer[:-16], hashlib.sha256)[:16]
        if not hmac.compare_digest(mac, answer[-16:]):
            raise NoAnswer("the answer's MAC does not hold")
        if (answer_mti, sender, sequence, size) != (mti + 0x10, self.terminal_id, self.sequence,
                                                    len(answer) - 48):
            raise NoAnswer("the answer is to another question")
        if status != b"00" or answer_count != count:
            raise NoAnswer("refused with status " + status.decode("ascii", "replace"))
        return generation, answer[32:-16]

    def sign_on(self):
        ids = struct.pack("<II", self.terminal_id, self.master_key_version)
        sign_on_key = derive(self.master_key, b"TK sign-on", ids)
        ours = secrets.token_bytes(16)
        self.generation = self.sequence = 0

        def record(step, theirs):
            return MANAGEMENT.pack(1, step, HMAC_SHA_256, self.master_key_version, 0, 0, ours, theirs)

        def keys(generation):
            context = struct.pack("<II", self.terminal_id, generation) + ours + theirs
            self.request_key = derive(self.master_key, b"TK request", context)
            self.response_key = derive(self.master_key, b"TK response", context)
            return self.response_key

        _, body = self.exchange(0x0800, record(0, bytes(16)), 1, sign_on_key, lambda _: sign_on_key)
        *_, echoed, theirs = MANAGEMENT.unpack(body[:64])
        if echoed != ours:
            raise NoAnswer("the challenge is not to our nonce")
        self.generation, _ = self.exchange(0x0800, record(1, theirs), 1, sign_on_key, keys)

    def authorize(self, pan, item_code, amount_minor, stan, business_date):
        self.sequence += 1
        body = USE.pack(pan_block(pan), self.terminal_id, stan, business_date, item_code,
                        amount_minor, int(time.time()), 1, 0, 0, 0, 0, 0)
        _, body = self.exchange(0x0100, body, 1, self.request_key, lambda _: self.response_key)
        terminal_id, stan_back, date_back, code, reason, rrn, authorization_id, *_ = \
            OUTCOME.unpack(body)
        if (terminal_id, stan_back, date_back) != (self.terminal_id, stan, business_date):
            raise NoAnswer("the outcome is of another use")
        return {"responseCode": code.decode("ascii"), "reason": reason, "rrn": rrn,
                "authorizationId": authorization_id, "stan": stan, "businessDate": business_date}


def main(arguments):
    master_key = bytes.fromhex(os.environ.get("TERMINAL_KEY", ""))
    if len(arguments) not in (5, 6) or len(master_key) != 32:
        print(__doc__, file=sys.stderr)
        return 2
    url, terminal_id, pan, item_code, amount_minor = arguments[:5]
    version = int(arguments[5]) if len(arguments) == 6 else 1
    china = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8)))
    stan = secrets.randbelow(999_999) + 1  # a real terminal counts, and keeps the last
    terminal = Terminal(url, int(terminal_id), master_key, version)
    try:
        terminal.sign_on()
        outcome = terminal.authorize(pan, int(item_code), int(amount_minor), stan,
                                     int(china.strftime("%Y%m%d")))
    except (NoAnswer, OSError) as error:
        print(f"terminal.py: {error}", file=sys.stderr)
        return 3
    print(json.dumps(outcome))
    return 0 if outcome["responseCode"] == "00" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
