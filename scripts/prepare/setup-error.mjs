/** Something that the user can mend; the message says how. */
export class SetupError extends Error {
  name = 'SetupError'
}
