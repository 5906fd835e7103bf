--= 1 党员总数
SELECT ru, org, 1 AS v FROM member
--= 2 正式党员
SELECT ru, org, 1 AS v FROM member WHERE category = 'formal'
--= 3 预备党员
SELECT ru, org, 1 AS v FROM member WHERE category = 'probationary'
--= 4 女党员
SELECT ru, org, 1 AS v FROM member WHERE sex = '2'
--= 5 少数民族
SELECT ru, org, 1 AS v FROM member WHERE ethnic NOT IN ('', '01')
--= 6 35岁及以下: completed years
SELECT ru, org, 1 AS v FROM member WHERE AGE(birth_date) <= 35
--= 7 36-45
SELECT ru, org, 1 AS v FROM member WHERE AGE(birth_date) BETWEEN 36 AND 45
--= 8 46-54
SELECT ru, org, 1 AS v FROM member WHERE AGE(birth_date) BETWEEN 46 AND 54
--= 9 55-59
SELECT ru, org, 1 AS v FROM member WHERE AGE(birth_date) BETWEEN 55 AND 59
--= 10 60岁及以上
SELECT ru, org, 1 AS v FROM member WHERE AGE(birth_date) >= 60
--= 11 大专及以上
SELECT ru, org, 1 AS v FROM member WHERE education BETWEEN '10' AND '39'
--= 12 高中(中专)
SELECT ru, org, 1 AS v FROM member WHERE education BETWEEN '40' AND '69'
--= 13 初中及以下
SELECT ru, org, 1 AS v FROM member WHERE education BETWEEN '70' AND '90'
--= 14 在职党员
SELECT ru, org, 1 AS v FROM member WHERE in_service = 'yes'
--= 15 流出: out and not returned; its organisation is the one that keeps the relation
SELECT COALESCE(h.parent, f.ru) AS ru, h.id AS org, 1 AS v FROM outflow f LEFT JOIN unit h ON h.name = f.home_org
--= 16 流入: in and not returned; its organisation is the one that receives
SELECT COALESCE(h.parent, f.ru) AS ru, h.id AS org, 1 AS v FROM inflow f LEFT JOIN unit h ON h.name = f.host_org
--= 17 困难党员: recognised and not exited on the day
SELECT ru, org, 1 AS v FROM hardship WHERE NOT UNTIL(exited_on)
--= 18 失联党员
SELECT ru, org, 1 AS v FROM member WHERE is_lost = 'yes' AND BY(lost_on)
--= 19 发展预备党员: admitted in the year, until the day
SELECT ru, org, 1 AS v FROM l_member_development WHERE UNTIL(admitted_on) AND YEAR(admitted_on)
--= 20 预备党员转正: in the year, whoever has left since; before somebody came from elsewhere it was elsewhere
SELECT ru, org, 1 AS v FROM person WHERE UNTIL(formal_on) AND YEAR(formal_on) AND BY(joined_on)
  AND (relation_in_on = '' OR substr(relation_in_on, 1, length(formal_on)) <= formal_on)
  AND (membership_state IN ('normal', '') OR state_on = '' OR substr(formal_on, 1, length(state_on)) <= state_on)
