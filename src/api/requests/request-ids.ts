import { randomBytes } from 'node:crypto'
import { REQUEST_ID_HEADER } from '../../network/header-names.js'

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/

/** Takes over the id of a request that came through another relay, if it is harmless; else makes a short one. */
export function requestIdMaker(): (request: { headers: Record<string, string | string[] | undefined> }) => string {
  const idFor = requestIds()
  return ({ headers }) => idFor(headers[REQUEST_ID_HEADER])
}

/** The same by the value of the header. */
export function requestIds(): (given: unknown) => string {
  const prefix = randomBytes(5).toString('hex')
  let count = 0
  return given => {
    if (typeof given === 'string' && REQUEST_ID.test(given)) return given
    count += 1
    return `${prefix}-${count.toString(36)}`
  }
}
