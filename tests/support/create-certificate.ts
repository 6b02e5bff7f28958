import { execFileSync, spawnSync } from 'node:child_process'

/** Whether openssl is installed. */
export const hasOpenssl = spawnSync('openssl', ['version']).status === 0

/** Writes `cert.pem`, a self-signed certificate for localhost, and its `key.pem`. */
export function createCertificate(folder: string): void {
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '2']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem']
  execFileSync('openssl', ['req', '-x509', ...key, '-out', 'cert.pem', ...subject], { cwd: folder, stdio: 'ignore' })
}
