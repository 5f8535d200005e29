package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A verifier is what a service knows: whose tokens it takes, for whom, and the keys.
type verifier struct {
	keys   map[string]publicKey
	parser *jwt.Parser
}

func newVerifier(url, issuer, audience string) (*verifier, error) {
	var metadata struct {
		Issuer string `json:"issuer"`
	}
	if err := fetch(url+"/.well-known/oauth-authorization-server", &metadata); err != nil {
		return nil, err
	}
	if metadata.Issuer != issuer {
		return nil, fmt.Errorf("the metadata is that of %s", metadata.Issuer)
	}
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := fetch(url+"/.well-known/jwks.json", &set); err != nil {
		return nil, err
	}
	keys := make(map[string]publicKey)
	for _, jwk := range set.Keys {
		key, err := jwk.publicKey()
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", jwk.Kid, err)
		}
		keys[jwk.Kid] = key
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"EdDSA", "ES256"}),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithStrictDecoding(),
	)
	return &verifier{keys, parser}, nil
}

// verify says why a token is not to be taken (RFC 9068 section 4).
func (v *verifier) verify(token string) error {
	claims := jwt.MapClaims{}
	parsed, err := v.parser.ParseWithClaims(token, claims, v.find)
	if err != nil {
		return err
	}
	if parsed.Header["typ"] != "at+jwt" {
		return errors.New("another type")
	}
	// The library does not look at it, and no extension is understood here.
	if _, there := parsed.Header["crit"]; there {
		return errors.New("a critical extension")
	}
	for _, name := range []string{"iss", "aud", "sub", "client_id", "jti"} {
		if _, isText := claims[name].(string); !isText {
			return fmt.Errorf("%s is missing or of another type", name)
		}
	}
	for _, name := range []string{"exp", "iat"} {
		if number, isNumber := claims[name].(float64); !isNumber || number != math.Trunc(number) {
			return fmt.Errorf("%s is missing or of another type", name)
		}
	}
	return nil
}

// find answers the key that the header names, for the one algorithm of the key.
func (v *verifier) find(token *jwt.Token) (any, error) {
	kid, isText := token.Header["kid"].(string)
	if !isText {
		return nil, errors.New("no kid")
	}
	key, known := v.keys[kid]
	if !known {
		return nil, errors.New("an unknown key")
	}
	if token.Method.Alg() != key.algorithm {
		return nil, errors.New("another algorithm than the key's")
	}
	return key.key, nil
}

// fetch reads the JSON document at a URL.
func fetch(url string, document any) error {
	client := http.Client{Timeout: 10 * time.Second}
	reply, err := client.Get(url)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, reply.Status)
	}
	return json.NewDecoder(reply.Body).Decode(document)
}
