/** Environment variable with the passphrase of the key that signs files. */
export const PASSPHRASE_VARIABLE = 'TREELINE_PASSPHRASE'

/** The passphrase in the environment of this process, if there is one. */
export function environmentPassphrase(): string | undefined {
  return process.env[PASSPHRASE_VARIABLE]
}

/** The same for a process that takes it from nowhere else, with what to do about a wrong one. */
export function signingPassphrase(): { readonly text?: string; readonly givenBy: string } {
  const text = environmentPassphrase()
  return { ...(text === undefined ? {} : { text }), givenBy: PASSPHRASE_VARIABLE }
}
