// Command golang-jwt judges access tokens with golang-jwt, as a service in Go does.
//
//	golang-jwt URL ISSUER AUDIENCE CORPUS
//
// URL is where Rollcall's key set and metadata are. CORPUS has a JSON object a line: what
// and token, and whether the token is good. It prints each wrong verdict, and fails on any.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
)

// A testCase is a line of the corpus.
type testCase struct {
	What  string `json:"what"`
	Token string `json:"token"`
	Good  bool   `json:"good"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 5 {
		log.Fatal("usage: golang-jwt URL ISSUER AUDIENCE CORPUS")
	}
	verifier, err := newVerifier(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	corpus, err := os.Open(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	defer corpus.Close()

	var good, bad, wrong int
	lines := bufio.NewScanner(corpus)
	for lines.Scan() {
		var one testCase
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			log.Fatal(err)
		}
		if one.Good {
			good++
		} else {
			bad++
		}
		if err := verifier.verify(one.Token); (err == nil) != one.Good {
			wrong++
			fmt.Printf("WRONG: %s: %v\n", one.What, err)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("golang-jwt: %d good, %d bad, %d wrong verdicts\n", good, bad, wrong)
	if wrong > 0 || good == 0 || bad == 0 {
		os.Exit(1)
	}
}
