// A frame: header, body, MAC. What travels in one WebSocket message or one HTTP body.
//
//   offset  size  field           type    notes
//   0       2     magic           u8[2]   "TK"
//   2       1     version         u8      1
//   3       1     flags           u8      bit 0: unauthenticated (responses only; the MAC is zero)
//   4       2     mti             u16     protocol/mti.ts
//   6       2     count           u16     records in the body, 0..4096
//   8       4     senderId        u32     terminalId whose key makes the MAC, 1..99,999,999
//   12      4     keyGeneration   u32     session keys in use; 0: the sign-on key
//   16      4     sequence        u32     1..2^32-1 within a generation; 0 under the sign-on key
//   20      4     bodySize        u32     bytes between header and MAC
//   24      6     timeMs          u48     sender's clock, milliseconds since 1970 UTC
//   30      2     status          u8[2]   responses: ISO 8583 response code; requests: 0
//   32      n     body            bodySize bytes
//   32 + n  16    mac             over all bytes before it
//
// All numbers are little-endian, and each field stands at a multiple of its size (timeMs aside),
// so that C on the usual processors reads it in place.
// The invariant: nothing in a frame is believed before its MAC holds, sizes excepted.

export const FRAME_MAGIC_OFFSET = 0;
export const FRAME_VERSION_OFFSET = 2;
export const FRAME_FLAGS_OFFSET = 3;
export const FRAME_MTI_OFFSET = 4;
export const FRAME_COUNT_OFFSET = 6;
export const FRAME_SENDER_ID_OFFSET = 8;
export const FRAME_KEY_GENERATION_OFFSET = 12;
export const FRAME_SEQUENCE_OFFSET = 16;
export const FRAME_BODY_SIZE_OFFSET = 20;
export const FRAME_TIME_OFFSET = 24;
export const FRAME_STATUS_OFFSET = 30;
export const FRAME_HEADER_SIZE = 32;
export const FRAME_MAC_SIZE = 16;
export const FRAME_SIZE_MIN = FRAME_HEADER_SIZE + FRAME_MAC_SIZE;

/** "TK" read as a little-endian u16. */
export const FRAME_MAGIC = 0x4b54;
export const FRAME_VERSION = 1;
export const FRAME_FLAG_UNAUTHENTICATED = 1;

/** Most records in one frame. */
export const FRAME_RECORDS_MAX = 4096;
/** Most bytes in the body of a management frame (0800, 0810). */
export const MANAGEMENT_BODY_SIZE_MAX = 4096;

export const TERMINAL_ID_MAX = 99_999_999;
