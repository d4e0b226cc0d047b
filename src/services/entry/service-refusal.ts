/** A request that is not passed on. */
export interface ServiceRefusal {
  readonly status: number
  /** For the caller: what is wrong, and what to do. */
  readonly message: string
  readonly fields?: readonly string[]
}

/** The refusal of a request under way whose caller has lost the right to it. */
export const RIGHT_LOST: ServiceRefusal = {
  status: 401,
  message: 'the token or certificate that let the request in was removed, or has ended, while it was under way'
}
