// Message type indicators of ISO 8583:1987, as the 16-bit number that stands in a frame header:
// the four digits are the four hexadecimal digits, so 0x0100 reads "0100".

export const MTI_USE_REQUEST = 0x0100;
export const MTI_USE_RESPONSE = 0x0110;
export const MTI_USE_ADVICE = 0x0120;
export const MTI_USE_ADVICE_RESPONSE = 0x0130;
export const MTI_REVERSAL_REQUEST = 0x0400;
export const MTI_REVERSAL_RESPONSE = 0x0410;
export const MTI_REVERSAL_ADVICE = 0x0420;
export const MTI_REVERSAL_ADVICE_RESPONSE = 0x0430;
export const MTI_MANAGEMENT_REQUEST = 0x0800;
export const MTI_MANAGEMENT_RESPONSE = 0x0810;

/** Whether `mti` is a request or advice that carries use records. */
export function isUseMti(mti: number): boolean {
  return (
    mti === MTI_USE_REQUEST ||
    mti === MTI_USE_ADVICE ||
    mti === MTI_REVERSAL_REQUEST ||
    mti === MTI_REVERSAL_ADVICE
  );
}

/** Whether a use MTI is an advice: something that has happened and is only told. */
export function isAdviceMti(mti: number): boolean {
  return mti === MTI_USE_ADVICE || mti === MTI_REVERSAL_ADVICE;
}

/** Whether a use MTI undoes an earlier use. */
export function isReversalMti(mti: number): boolean {
  return mti === MTI_REVERSAL_REQUEST || mti === MTI_REVERSAL_ADVICE;
}

/** The MTI that answers a request MTI (ISO 8583: the third digit plus one). */
export function responseMti(mti: number): number {
  return mti + 0x10;
}

/** `0x0100` as "0100". */
export function mtiText(mti: number): string {
  return mti.toString(16).padStart(4, "0");
}
