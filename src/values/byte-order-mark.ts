/** What some editors, on Windows above all, put before a text in UTF-8. It means nothing, and PEM and JSON do not know it. */
const MARK = '\uFEFF'
const MARK_BYTES = Buffer.from(MARK, 'utf8')

/** A text file's content without the byte order mark before it, if there is one. */
export function withoutByteOrderMark(text: string): string {
  return text.startsWith(MARK) ? text.slice(MARK.length) : text
}

/** How many bytes of a file are its byte order mark in UTF-8: 3 or none. */
export function byteOrderMarkLength(file: Buffer): number {
  return file.subarray(0, MARK_BYTES.length).equals(MARK_BYTES) ? MARK_BYTES.length : 0
}
