/** Public keys whose signature on a bundle is accepted without being asked for. */

/**
 * Of firmware/keys/development.pem, which is public: it proves that a bundle is whole, not who made it. A fleet replaces
 * this list with its own keys (BundleOptions.trustedKeys).
 */
const DEVELOPMENT_KEY = 'BtihMVfgo6OEfqk4yMmFiKXDqV8yLDZvHTXev+tDsAg=';

/** Public Ed25519 keys whose signatures are accepted. */
export const TRUSTED_KEYS: readonly Uint8Array[] = [Buffer.from(DEVELOPMENT_KEY, 'base64')];
