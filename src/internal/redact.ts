const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/]*:)[^\s@/]+(?=@)/gi
/** Matches `ALTER ROLE … PASSWORD '…'`, or `E'…'`, which clients write for a password with a backslash. */
const SQL_PASSWORD = /(\bpassword\s+)(?:(')(?:[^']|'')+|(e')(?:[^'\\]|\\[^]|'')+)(?=')/gi

/** Shorter passwords are not redacted: they occur in ordinary words, so the text would become unreadable. */
const SECRET_LENGTH = 8

export interface Credentials {
  readonly user: string | undefined
  readonly password: string | undefined
}

/**
 * Replaces passwords in URLs and SQL with `***`, and also the given password unless it is short or equals the user's
 * name.
 */
export function redact(text: string, { user, password = '' }: Credentials): string {
  const hidden = text.replace(URL_PASSWORD, '$1***').replace(SQL_PASSWORD, '$1$2$3***')
  return password.length < SECRET_LENGTH || password === user ? hidden : hidden.replaceAll(password, '***')
}
