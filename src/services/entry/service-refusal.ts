/** A request that is not passed on. */
export interface ServiceRefusal {
  readonly status: number
  /** For the caller: what is wrong, and what to do. */
  readonly message: string
  readonly fields?: readonly string[]
}
