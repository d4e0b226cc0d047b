/** Characters of a token of an administrator, a client or a caller, at least: fewer could be guessed. */
export const MIN_TOKEN_LENGTH = 16
