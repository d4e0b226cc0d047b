// Loaded by a process of `treeline` before its program: its `Date` is off by as many seconds as a file says.
import { readFileSync } from 'node:fs'

const file = process.env.STEPPING_CLOCK_FILE ?? ''
const RealDate = Date

function now() {
  return RealDate.now() + Number(readFileSync(file, 'utf8')) * 1_000
}

globalThis.Date = class extends RealDate {
  /** @param {[]} parts as of `Date` */
  constructor(...parts) {
    if (parts.length === 0) super(now())
    else super(...parts)
  }

  static now() {
    return now()
  }

  /** @param {unknown} value */
  static [Symbol.hasInstance](value) {
    return value instanceof RealDate
  }
}
