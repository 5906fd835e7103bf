--@ candidate AS SELECT *, award_category AS code FROM l_commendation_candidates WHERE year = $Y
--= 2 推荐数
SELECT ru, org, 1 AS v, code FROM candidate
--= 3 初审通过
SELECT ru, org, 1 AS v, code FROM candidate WHERE decision IN ('reviewed', 'publicised', 'decided')
--= 4 公示数
SELECT ru, org, 1 AS v, code FROM candidate WHERE decision IN ('publicised', 'decided') AND NOT AFTER(publicised_from)
--= 5 表彰数
SELECT ru, org, 1 AS v, code FROM candidate WHERE decision = 'decided' AND BY(decided_on)
