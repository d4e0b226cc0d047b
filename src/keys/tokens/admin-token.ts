/** Characters of `tokens.admin_file`, at least: fewer could be guessed. */
export const MIN_TOKEN_LENGTH = 16
