// The MACs a terminal's profile can name, by the number that stands in frames and in the journal.

export const MAC_ALGORITHM = {
  /** NIST SP 800-38B over AES-128; key 16 bytes. */
  AES_128_CMAC: 1,
  /** NIST SP 800-38B over SM4 (GB/T 32907); key 16 bytes. */
  SM4_CMAC: 2,
  /** RFC 2104 over SHA-256, the first 16 bytes; key 32 bytes. */
  HMAC_SHA_256: 3,
  /** RFC 2104 over SM3 (GB/T 32905), the first 16 bytes; key 32 bytes. */
  HMAC_SM3: 4,
} as const;

export type MacAlgorithmName = "aes-128-cmac" | "sm4-cmac" | "hmac-sha-256" | "hmac-sm3";

/** Names by number; 0 is none. */
export const MAC_ALGORITHM_NAMES: readonly (MacAlgorithmName | "")[] = [
  "",
  "aes-128-cmac",
  "sm4-cmac",
  "hmac-sha-256",
  "hmac-sm3",
];

/** Key size in bytes by algorithm number: master keys and session keys alike. */
export const MAC_KEY_SIZES: readonly number[] = [0, 16, 16, 32, 32];
