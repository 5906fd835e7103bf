--= I-01n
SELECT DISTINCT ru, org, 1 AS v FROM l_work_meetings WHERE meeting_kind = 'deployment' AND UNTIL(held_on) AND held_on <= $Y || '-03-31'
  AND ru IN (SELECT ru FROM l_reporting_units WHERE active = 'yes')
--= I-01d
SELECT ru, org, 1 AS v FROM l_reporting_units WHERE active = 'yes'
--= I-02n = R03/initial:15
--= I-02d = R03/initial:1
--= I-04n = R03/initial:2
--= I-04d = R03/initial:1
--= I-05n = R04:x5
--= I-05d = R04:1
--= I-06n = R04:x6
--= I-06d = R04:1
--= I-07n = R04:4
--= I-07d = R04:3
--= I-10n
SELECT ru, org, 1 AS v FROM l_affiliation_issues WHERE BY(found_on) AND status = 'resolved' AND BY(resolved_on)
--= I-10d
SELECT ru, org, 1 AS v FROM l_affiliation_issues WHERE BY(found_on)
--= I-11n: held by the month that it was due in
SELECT ru, org, 1 AS v FROM l_election_terms WHERE UNTIL(due_on) AND UNTIL(held_on) AND substr(held_on, 1, 7) <= substr(due_on, 1, 7)
--= I-11d
SELECT ru, org, 1 AS v FROM l_election_terms WHERE UNTIL(due_on)
--= I-12n = R05:6
--= I-12d = R05:5
--= I-13n = R05:13
--= I-13d = R05:12
--= I-14n = R05:20
--= I-14d = R05:19
--= I-15n
SELECT ru, org, 1 AS v FROM l_unbuilt_units WHERE BY(registered_on) AND due_kind IN ('due_standalone', 'due_joint') AND progress = 'formed' AND BY(formed_on)
--= I-15d
SELECT ru, org, 1 AS v FROM l_unbuilt_units WHERE BY(registered_on) AND due_kind IN ('due_standalone', 'due_joint')
--= I-16n = R05:x1
--= I-16d = R05:1
--= I-17n = R01:1 - R01:17
--= I-17d = R01:1
--= I-18n = R09:23
--= I-18d = R09:2
--= I-19n = R09:21
--= I-19d = R09:20
--= I-20n = R02:19
--= I-21n = R10:6
--= I-21d = R10:5
--= I-22n = R10:8
--= I-22d = R10:5
--= I-24n: a valid identity number, date of birth, joining and category; a formal member's date of becoming one
SELECT ru, org, 1 AS v FROM member WHERE id_card <> '' AND id_card NOT LIKE '%?' AND birth_date <> '' AND joined_on <> '' AND member_category <> ''
  AND (category <> 'formal' OR formal_on <> '')
--= I-24d = R02:1
--= I-31n = R07:4
--= I-31d = R07:1
--= I-32n = R07:10
--= I-32d = R07:9
--= I-34n = R08:10
--= I-34d = R08:9
--= I-35n = R08:13 + R08:14 + R08:15 + R08:16 + R08:17
--= I-35d = R08:1
--= I-36n = R11:x1
--= I-36d = R11:2
--= I-37n = R11:11
--= I-37d = R11:10
--= I-38n = R12:10
--= I-38d = R12:8
--= I-39n = R13:8
--= I-39d = R13:1
--= I-40n = R13:10
--= I-40d = R13:8
--= I-41n = R13:13
--= I-41d = R13:8
--= I-42n = R13:16 + R13:17
--= I-42d = R13:15
--= I-43n = R14/home:2
--= I-43d = R14/home:1
--= I-44n = R14/community:x1
--= I-44d = R14/community:x2
--= I-45n = R15/rural:2 + R15/community:2
--= I-45d = R15/rural:1 + R15/community:1
--= I-46n = R15/rural:4 + R15/community:4
--= I-46d = R15/rural:1 + R15/community:1
--= I-48n
SELECT DISTINCT f.ru, f.org, 1 AS v FROM l_funds f JOIN org o ON o.org = f.org
WHERE o.field = 'two_new' AND f.flow = 'income' AND f.year = $Y AND BY(f.occurred_on)
--= I-48d
SELECT ru, org, 1 AS v FROM org WHERE field = 'two_new'
--= I-49n = R17:8
--= I-49d = R17:1
--= I-50n = R17:16
--= I-53n = R21:2
--= I-53d = R21:1
--= I-54n = R21:6
--= I-54d = R21:6 + R21:7 + R21:8
--= I-55n = R22:2
--= I-55d = R22:1
--= I-28n = R23:2
--= I-28d = R23:1
--= I-30n: of those that are due by the day, handed in by their due date
SELECT ru, org, 1 AS v FROM l_return_submissions WHERE UNTIL(due_on) AND UNTIL(submitted_on) AND submitted_on <= due_on
  AND status IN ('submitted', 'approved', 'merged', 'published', 'archived')
--= I-30d
SELECT ru, org, 1 AS v FROM l_return_submissions WHERE UNTIL(due_on)
--= I-47an: what organisations of both years have more than the year before
SELECT f.ru, f.org, CASE WHEN f.year = $Y THEN f.amount_yuan ELSE -f.amount_yuan END AS v FROM l_funds f JOIN org o ON o.org = f.org WHERE o.field = 'rural' AND (o.established_on = '' OR substr(o.established_on, 1, 4) < $Y)
  AND f.flow = 'income' AND f.source = 'fiscal' AND ((f.year = $Y AND BY(f.occurred_on)) OR f.year + 0 = $Y - 1)
--= I-47ad
SELECT f.ru, f.org, f.amount_yuan + 0 AS v FROM l_funds f JOIN org o ON o.org = f.org WHERE o.field = 'rural' AND (o.established_on = '' OR substr(o.established_on, 1, 4) < $Y)
  AND f.flow = 'income' AND f.source = 'fiscal' AND f.year + 0 = $Y - 1
--= I-47bn: what organisations of both years have more than the year before
SELECT f.ru, f.org, CASE WHEN f.year = $Y THEN f.amount_yuan ELSE -f.amount_yuan END AS v FROM l_funds f JOIN org o ON o.org = f.org WHERE o.field = 'community' AND (o.established_on = '' OR substr(o.established_on, 1, 4) < $Y)
  AND f.flow = 'income' AND f.source = 'fiscal' AND ((f.year = $Y AND BY(f.occurred_on)) OR f.year + 0 = $Y - 1)
--= I-47bd
SELECT f.ru, f.org, f.amount_yuan + 0 AS v FROM l_funds f JOIN org o ON o.org = f.org WHERE o.field = 'community' AND (o.established_on = '' OR substr(o.established_on, 1, 4) < $Y)
  AND f.flow = 'income' AND f.source = 'fiscal' AND f.year + 0 = $Y - 1
--= I-47cn: what organisations of both years have more than the year before
SELECT f.ru, f.org, CASE WHEN f.year = $Y THEN f.amount_yuan ELSE -f.amount_yuan END AS v FROM l_funds f JOIN org o ON o.org = f.org WHERE o.field = 'two_new' AND o.two_new_kind = 'nonpublic' AND (o.established_on = '' OR substr(o.established_on, 1, 4) < $Y)
  AND f.flow = 'income' AND f.source = 'fiscal' AND ((f.year = $Y AND BY(f.occurred_on)) OR f.year + 0 = $Y - 1)
--= I-47cd
SELECT f.ru, f.org, f.amount_yuan + 0 AS v FROM l_funds f JOIN org o ON o.org = f.org WHERE o.field = 'two_new' AND o.two_new_kind = 'nonpublic' AND (o.established_on = '' OR substr(o.established_on, 1, 4) < $Y)
  AND f.flow = 'income' AND f.source = 'fiscal' AND f.year + 0 = $Y - 1
--= I-47dn: what organisations of both years have more than the year before
SELECT f.ru, f.org, CASE WHEN f.year = $Y THEN f.amount_yuan ELSE -f.amount_yuan END AS v FROM l_funds f JOIN org o ON o.org = f.org WHERE o.field = 'floating' AND (o.established_on = '' OR substr(o.established_on, 1, 4) < $Y)
  AND f.flow = 'income' AND f.source = 'fiscal' AND ((f.year = $Y AND BY(f.occurred_on)) OR f.year + 0 = $Y - 1)
--= I-47dd
SELECT f.ru, f.org, f.amount_yuan + 0 AS v FROM l_funds f JOIN org o ON o.org = f.org WHERE o.field = 'floating' AND (o.established_on = '' OR substr(o.established_on, 1, 4) < $Y)
  AND f.flow = 'income' AND f.source = 'fiscal' AND f.year + 0 = $Y - 1
--= I-33bn = R08:5
--= I-33bd = R08:4
--= I-51n
SELECT ru, org, 1 AS v FROM l_demonstration_sites WHERE status = 'confirmed' AND BY(confirmed_on)
--= I-52an
SELECT ru, org, 1 AS v FROM l_commendation_candidates WHERE year = $Y AND decision = 'decided' AND BY(decided_on) AND award_category = 'town_committee'
--= I-52bn
SELECT ru, org, 1 AS v FROM l_commendation_candidates WHERE year = $Y AND decision = 'decided' AND BY(decided_on) AND award_category = 'village_org'
--= I-52cn
SELECT ru, org, 1 AS v FROM l_commendation_candidates WHERE year = $Y AND decision = 'decided' AND BY(decided_on) AND award_category = 'community_org'
--= I-52dn
SELECT ru, org, 1 AS v FROM l_commendation_candidates WHERE year = $Y AND decision = 'decided' AND BY(decided_on) AND award_category = 'nonpublic_org'
--= I-52en
SELECT ru, org, 1 AS v FROM l_commendation_candidates WHERE year = $Y AND decision = 'decided' AND BY(decided_on) AND award_category = 'floating_org'
