const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/]*:)[^\s@/]+(?=@)/gi
/** As in `ALTER ROLE … PASSWORD '…'`, or `E'…'`, which clients write where there is a backslash in it. */
const SQL_PASSWORD = /(\bpassword\s+)(?:(')(?:[^']|'')+|(e')(?:[^'\\]|\\[^]|'')+)(?=')/gi

/** Shorter ones occur in ordinary words; redacting them would hide more than it protects. */
const SECRET_LENGTH = 8

export interface Credentials {
  readonly user: string | undefined
  readonly password: string | undefined
}

/** A text without the passwords of URLs and of SQL, and without this one, unless it is as public as the name beside it. */
export function redact(text: string, { user, password = '' }: Credentials): string {
  const hidden = text.replace(URL_PASSWORD, '$1***').replace(SQL_PASSWORD, '$1$2$3***')
  return password.length < SECRET_LENGTH || password === user ? hidden : hidden.replaceAll(password, '***')
}
