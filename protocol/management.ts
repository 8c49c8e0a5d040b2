// The body of network management messages (0800, 0810): sign-on, sign-off, key change, echo.
// A fixed record; in the 0810 that opens a session, a msgpack map of parameters follows it.
//
//   offset  size  field             type    notes
//   0       2     functionCode      u16     ISO 8583 field 70: 1 sign-on, 2 sign-off,
//                                           101 key change, 301 echo
//   2       1     step              u8      sign-on: 0 challenge, 1 proof; else 0
//   3       1     macAlgorithm      u8      as in its profile, protocol/mac-algorithms.ts
//   4       4     masterKeyVersion  u32     which master key of the terminal, 1..8,388,607
//   8       4     keyGeneration     u32     0810: generation of the session opened; else 0
//   12      4     expiresAt         u32     0810: session's end, seconds since 1970 UTC; else 0
//   16      16    terminalNonce     u8[16]  sign-on, key change: random, chosen by the terminal
//   32      16    serverNonce       u8[16]  0810: random; sign-on proof: as received; else 0
//   48      16    reserved          u8[16]  0

export const MANAGEMENT_FUNCTION_OFFSET = 0;
export const MANAGEMENT_STEP_OFFSET = 2;
export const MANAGEMENT_MAC_ALGORITHM_OFFSET = 3;
export const MANAGEMENT_MASTER_KEY_VERSION_OFFSET = 4;
export const MANAGEMENT_KEY_GENERATION_OFFSET = 8;
export const MANAGEMENT_EXPIRES_AT_OFFSET = 12;
export const MANAGEMENT_TERMINAL_NONCE_OFFSET = 16;
export const MANAGEMENT_SERVER_NONCE_OFFSET = 32;
export const MANAGEMENT_RESERVED_OFFSET = 48;
export const MANAGEMENT_RECORD_SIZE = 64;
export const NONCE_SIZE = 16;
export const MASTER_KEY_VERSION_MAX = 8_388_607;

export const FUNCTION_SIGN_ON = 1;
export const FUNCTION_SIGN_OFF = 2;
export const FUNCTION_KEY_CHANGE = 101;
export const FUNCTION_ECHO = 301;
export const SIGN_ON_CHALLENGE = 0;
export const SIGN_ON_PROOF = 1;
