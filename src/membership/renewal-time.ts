/** The span of a certificate's life, ms since 1970. */
export interface Life {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** The time of renewal, after two thirds of the life: time enough for a machine that is off for a while. */
export function renewalTime({ notBeforeMs, notAfterMs }: Life): number {
  return notBeforeMs + ((notAfterMs - notBeforeMs) * 2) / 3
}

/** Whether a certificate is due. One that is not valid yet, made while a clock was ahead, is due as well. */
export function isDue(life: Life, nowMs: number): boolean {
  return nowMs >= renewalTime(life) || nowMs < life.notBeforeMs
}
