import { UsageError } from '../command-error.js'

/** @throws {UsageError} naming the option and its range, for anything but a whole number within it */
export function readCount(option: string, text: string, { min, max }: { readonly min: number; readonly max: number }) {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (count >= min && count <= max) return count
  throw new UsageError(`${option} should be a whole number from ${min} to ${max}, not ${JSON.stringify(text)}`)
}
