# Reads ctest logs (LastTest.log) and counts what ran inside the tests: GoogleTest's cases, the golden
# runner's PASS, FAIL and SKIP lines, and any other test as one. Prints what failed, what was skipped
# and why, and the totals. Exits 1 when something failed, or nothing ran.
# A test that fails without a failed case of its own (a crash, a timeout, a validation error) counts.

/^[0-9]+\/[0-9]+ Testing: / { test = $3; cases = failures = 0; reason = ""; empty = 0; next }

# GoogleTest.
/^\[       OK \] / { passed++; cases++; next }
/^\[  FAILED  \] .* \([0-9]+ ms\)$/ {
  sub(/^\[  FAILED  \] /, ""); sub(/ \([0-9]+ ms\)$/, "")
  failed++; cases++; failures++
  failed_names[failed] = test ": " $0
  next
}
/: Skipped$/ { getline reason; next }
/^\[  SKIPPED \] .* \([0-9]+ ms\)$/ {
  sub(/^\[  SKIPPED \] /, ""); sub(/ \([0-9]+ ms\)$/, "")
  skipped++; cases++
  skipped_names[skipped] = test ": " $0 (reason == "" ? "" : ": " reason)
  reason = ""
  next
}
/^\[==========\] Running 0 tests/ { empty = 1; next }

# The golden runner.
/^PASS / { passed++; cases++; next }
/^FAIL / { failed++; cases++; failures++; failed_names[failed] = test ": " substr($0, 6); next }
/^SKIP / { skipped++; cases++; skipped_names[skipped] = test ": " substr($0, 6); next }

/^Test Passed\.$/ { if (cases == 0 && !empty) passed++; next }
/^Test Failed\.$/ || /^Test time out/ || /^\*\*\*/ {
  if (failures == 0 && !empty) { failed++; failed_names[failed] = test ": the test as a whole" }
  failures++
  next
}

END {
  # One line for each reason, with how often it was given.
  for (i = 1; i <= skipped; i++) print "skipped: " skipped_names[i]
  for (i = 1; i <= failed; i++) print "FAILED: " failed_names[i]
  printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
  exit failed > 0 || passed == 0
}
