import { errorCode } from '../values/disk-failure.js'

export function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT'
}
