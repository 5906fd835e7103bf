--@ month AS SELECT $Y || '-' || substr('0' || n, -2) AS m, n FROM numbers
--@ ended AS SELECT m, n FROM month WHERE date(m || '-01', '+1 month', '-1 day') <= $D AND m >= substr($S, 1, 7)
--@ serving AS SELECT b.ru, b.org, b.party_groups, b.committee_seats, e.n, e.m FROM branch b JOIN ended e ON b.established_on = '' OR (length(b.established_on) = 4 AND b.established_on < $Y) OR (length(b.established_on) > 4 AND e.m > substr(b.established_on, 1, 7))
--@ quarters AS SELECT ru, org, count(*) / 3 AS q FROM serving GROUP BY ru, org
--@ expected AS SELECT ru, org, 'general' AS kind, q AS n FROM quarters UNION ALL SELECT ru, org, 'lecture', q FROM quarters UNION ALL SELECT ru, org, 'committee', count(*) FROM serving WHERE committee_seats + 0 > 0 GROUP BY ru, org UNION ALL SELECT ru, org, 'group', count(*) * (party_groups + 0) FROM serving GROUP BY ru, org
--@ held AS SELECT m.* FROM l_org_life_meetings m JOIN branch b ON b.org = m.org WHERE life_kind IN ('general', 'committee', 'group', 'lecture') AND substr(held_at, 1, 10) <= $D AND substr(held_at, 1, 10) >= $S
--@ appraised AS SELECT * FROM l_democratic_appraisal WHERE participated = 'yes' AND BY(held_on) AND year = $Y
--@ judged AS SELECT p.*, COALESCE((SELECT max(a.held_on) FROM l_democratic_appraisal a WHERE a.org = p.org AND a.year = $Y AND UNTIL(a.held_on)), $D) AS at FROM person p
--= 1 党支部数
SELECT ru, org, 1 AS v FROM branch
--= 2 应开次数: months and quarters of the period that have ended, from the month after the branch was founded
SELECT ru, org, n AS v FROM expected
--= 3 实开次数
SELECT ru, org, 1 AS v FROM held
--= 4 党员大会
SELECT ru, org, 1 AS v FROM held WHERE life_kind = 'general'
--= 5 支委会
SELECT ru, org, 1 AS v FROM held WHERE life_kind = 'committee'
--= 6 党小组会
SELECT ru, org, 1 AS v FROM held WHERE life_kind = 'group'
--= 7 党课
SELECT ru, org, 1 AS v FROM held WHERE life_kind = 'lecture'
--= x1 held as far as expected, per branch and kind
SELECT e.ru, e.org, min(e.n, (SELECT count(*) FROM held h WHERE h.org = e.org AND h.life_kind = e.kind)) AS v FROM expected e
--= 8 落实率 = x1 / 2
--= x2
SELECT ru, org, present + 0 AS v FROM held
--= x3
SELECT ru, org, due_attend + 0 AS v FROM held
--= 9 平均到会率 = x2 / x3
--= 10 应参评: normal on the day of the appraisal; where there was none yet, on the day of the return
SELECT ru, org, 1 AS v FROM judged WHERE (joined_on = '' OR joined_on <= substr(at, 1, length(joined_on)))
  AND (relation_in_on = '' OR relation_in_on <= substr(at, 1, length(relation_in_on)))
  AND (membership_state IN ('normal', '') OR (state_on <> '' AND state_on > substr(at, 1, length(state_on))))
--= 11 实参评
SELECT ru, org, 1 AS v FROM appraised
--= 12 参评率 = 11 / 10
--= 13 优秀
SELECT ru, org, 1 AS v FROM appraised WHERE result = 'excellent'
--= 14 合格
SELECT ru, org, 1 AS v FROM appraised WHERE result = 'qualified'
--= 15 基本合格
SELECT ru, org, 1 AS v FROM appraised WHERE result = 'basic'
--= 16 不合格
SELECT ru, org, 1 AS v FROM appraised WHERE result = 'unqualified'
--= 17 不定等次
SELECT ru, org, 1 AS v FROM appraised WHERE result = 'not_rated'
--= 18 优秀占比 = 13 / 13 + 14 + 15 + 16
--= 19 限期改正
SELECT ru, org, 1 AS v FROM l_unqualified_members WHERE result = 'correct' AND BY(found_on) AND BY(approved_on)
--= 20 劝退除名
SELECT ru, org, 1 AS v FROM l_unqualified_members WHERE result IN ('persuade_out', 'remove', 'expel') AND BY(found_on) AND BY(approved_on)
