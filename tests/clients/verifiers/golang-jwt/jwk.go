package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
)

// A jwk is a key of a set (RFC 7517, RFC 7518 section 6.2, RFC 8037).
type jwk struct {
	Kty, Use, Alg, Kid, Crv, X, Y string
}

// A publicKey is a key and the one algorithm that it verifies.
type publicKey struct {
	algorithm string
	key       crypto.PublicKey
}

func (j jwk) publicKey() (publicKey, error) {
	x, err := coordinate(j.X)
	if err != nil {
		return publicKey{}, err
	}
	switch {
	case j.Use != "sig":
		return publicKey{}, errors.New("it is not for signatures")
	case j.Kty == "OKP" && j.Crv == "Ed25519" && j.Alg == "EdDSA":
		return publicKey{"EdDSA", ed25519.PublicKey(x)}, nil
	case j.Kty == "EC" && j.Crv == "P-256" && j.Alg == "ES256":
		y, err := coordinate(j.Y)
		if err != nil {
			return publicKey{}, err
		}
		// The point as SEC 1 section 2.3.3 writes it, not compressed.
		point := append(append([]byte{4}, x...), y...)
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		return publicKey{"ES256", key}, err
	}
	return publicKey{}, errors.New("it is of another kind")
}

func coordinate(text string) ([]byte, error) {
	bytes, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil && len(bytes) != 32 {
		err = errors.New("it has another length")
	}
	return bytes, err
}
