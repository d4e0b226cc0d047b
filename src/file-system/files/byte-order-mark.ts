/**
 * The mark that some editors, on Windows above all, put before a text in UTF-8. It means nothing, and PEM and JSON do
 * not know it.
 */
const MARK = '\uFEFF'
const MARK_BYTES = Buffer.from(MARK, 'utf8')

/** A first character of ASCII in UTF-16, with or without the mark before it, read as if it were UTF-8. */
const UTF_16 = /^(?:\uFFFD\uFFFD)?(?:\0[^\0]|[^\0]\0)/
/** The mark and a character, in UTF-16. */
const UTF_16_BYTES = 4

const IS_UTF_16 = 'it is in UTF-16, as some editors and PowerShell write files: save it as UTF-8'

/**
 * A text file's content without the byte order mark before it, if there is one.
 * @param text as it reads in UTF-8
 * @throws {Error} when it is in UTF-16
 */
export function withoutByteOrderMark(text: string): string {
  if (UTF_16.test(text)) throw new Error(IS_UTF_16)
  return text.startsWith(MARK) ? text.slice(MARK.length) : text
}

/** How many bytes of a file are its byte order mark in UTF-8: 3 or none. */
export function byteOrderMarkLength(file: Buffer): number {
  return file.subarray(0, MARK_BYTES.length).equals(MARK_BYTES) ? MARK_BYTES.length : 0
}

/** The problem of a text file that is in UTF-16; undefined where it is not. */
export function utf16Problem(file: Buffer): string | undefined {
  return UTF_16.test(file.subarray(0, UTF_16_BYTES).toString('utf8')) ? IS_UTF_16 : undefined
}
