/** A value that is made when it is first asked for. */
export interface AtFirstUse<T> {
  /** Makes it, or gives the one that is there. A failure is not kept: the next call tries again. */
  get(): Promise<T>
  /** The value, where it is there or being made. */
  readonly begun: Promise<T> | undefined
}

/** @param make called once at a time, and never again after it succeeded */
export function atFirstUse<T>(make: () => Promise<T>): AtFirstUse<T> {
  let begun: Promise<T> | undefined
  return {
    get() {
      begun ??= make().catch((error: unknown) => {
        begun = undefined
        throw error
      })
      return begun
    },
    get begun() {
      return begun
    }
  }
}
